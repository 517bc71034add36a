import { EM } from '../elf/machines.js';
import type { ElfHeaders } from '../elf/types.js';

/**
 * The properties of a processor on which the loader's search depends. A jail must also work on
 * processors other than this one.
 */
export interface Cpu {
  /** The subdirectories of glibc-hwcaps that it supports, the best first (ld.so(8), "HARDWARE CAPABILITIES"). */
  readonly levels: readonly string[];
  /** The value of $PLATFORM; undefined if the kernel sets none, which voids strings that contain it. */
  readonly platform: string | undefined;
  /**
   * Subdirectories that loaders before glibc 2.37 search in every directory, each name with all
   * that follow it, such as tls and x86_64 (elf/dl-hwcaps.c, _dl_important_hwcaps).
   */
  readonly legacy: readonly string[];
}

/** One CPU feature for which a different file would be chosen than on the baseline. */
export type Alternative =
  | { readonly kind: 'level'; readonly name: string }
  | { readonly kind: 'platform'; readonly name: string }
  | { readonly kind: 'legacy'; readonly name: string };

interface Family {
  /** Levels in ascending order: each includes the previous ones. */
  readonly levels: readonly string[];
  /** AT_PLATFORM of the kernel, or glibc's replacement for it; the baseline first. */
  readonly platforms: readonly string[];
  /** Features that have a legacy subdirectory, in descending order of importance. */
  readonly features: readonly string[];
  /** The features that every processor has. */
  readonly always: readonly string[];
}

const NO_FAMILY: Family = { levels: [], platforms: [], features: [], always: [] };

/** By `machine/class`: glibc sysdeps dl-hwcaps_subdirs.c and dl-procinfo.c; Linux ELF_PLATFORM. */
const FAMILIES: Readonly<Record<string, Family>> = {
  [`${EM[386]}/32`]: {
    levels: [],
    platforms: ['i686', 'i586', 'haswell', 'xeon_phi'],
    features: ['avx512_1', 'x86_64', 'sse2'],
    always: [],
  },
  [`${EM.X86_64}/32`]: {
    levels: ['x86-64-v2', 'x86-64-v3', 'x86-64-v4'],
    platforms: ['x86_64', 'haswell', 'xeon_phi'],
    features: ['avx512_1', 'x86_64'],
    always: ['x86_64'],
  },
  [`${EM.X86_64}/64`]: {
    levels: ['x86-64-v2', 'x86-64-v3', 'x86-64-v4'],
    platforms: ['x86_64', 'haswell', 'xeon_phi'],
    features: ['avx512_1', 'x86_64'],
    always: ['x86_64'],
  },
  [`${EM.PPC64}/64`]: {
    levels: ['power9', 'power10'],
    platforms: ['power8', 'power9', 'power10'],
    features: ['vsx', 'altivec'],
    always: [],
  },
  [`${EM.S390}/64`]: {
    levels: ['z13', 'z14', 'z15', 'z16'],
    platforms: ['z900', 'z990', 'z9-109', 'z10', 'z196', 'zEC12', 'z13', 'z14', 'z15', 'z16'],
    features: [],
    always: [],
  },
  [`${EM.ARM}/32`]: {
    levels: [],
    platforms: ['v7l', 'v8l', 'v6l', 'v5l', 'v4l'],
    features: ['neon', 'vfpv3', 'vfp'],
    always: [],
  },
  [`${EM.AARCH64}/64`]: { levels: [], platforms: ['aarch64'], features: ['atomics'], always: [] },
};

function familyOf({ machine, class: elfClass }: ElfHeaders): Family {
  return FAMILIES[`${machine}/${elfClass}`] ?? NO_FAMILY;
}

/** Returns the processor with only the baseline features of its architecture. */
export function baselineCpu(headers: ElfHeaders): Cpu {
  const { platforms, always } = familyOf(headers);
  return { levels: [], platform: platforms[0], legacy: legacyNames(platforms[0], always) };
}

/** Returns the values of $PLATFORM on processors other than the baseline. */
export function otherPlatforms(headers: ElfHeaders): readonly string[] {
  return familyOf(headers).platforms.slice(1);
}

/** Returns the legacy subdirectories that only some processors search. */
export function otherLegacyNames(headers: ElfHeaders): readonly string[] {
  const { platforms, features, always } = familyOf(headers);
  return [...platforms.slice(1), ...features.filter((name) => !always.includes(name))];
}

/** Returns whether loaders of the architecture define any levels; others ignore glibc-hwcaps. */
export function hasLevels(headers: ElfHeaders): boolean {
  return familyOf(headers).levels.length > 0;
}

/** Returns a processor of a level such as x86-64-v3, with all levels below it. */
export function cpuOfLevel(headers: ElfHeaders, level: string): Cpu {
  const { levels } = familyOf(headers);
  const rank = levels.indexOf(level);
  // A level unknown here includes no other.
  const taken = rank < 0 ? [level] : levels.slice(0, rank + 1).reverse();
  return { ...baselineCpu(headers), levels: taken };
}

/** Returns every processor, except the baseline, that differs in one or more of the alternatives. */
export function cpusFor(headers: ElfHeaders, alternatives: readonly Alternative[]): Cpu[] {
  const family = familyOf(headers);
  const named = (kind: Alternative['kind']) =>
    [...new Set(alternatives.filter((one) => one.kind === kind).map(({ name }) => name))].sort();
  const baseline = baselineCpu(headers);
  const levels = [[], ...named('level').map((name) => cpuOfLevel(headers, name).levels)];
  const legacy = named('legacy');
  const platforms = [
    baseline.platform,
    ...family.platforms.filter((name) => named('platform').includes(name) || legacy.includes(name)),
  ];
  const optional = family.features.filter((name) => legacy.includes(name));
  const features = [family.always, ...optional.map((name) => [...family.always, name])];

  const cpus = levels.flatMap((taken) =>
    platforms.flatMap((platform) =>
      features.map((has) => ({
        levels: taken,
        platform,
        legacy: legacyNames(
          platform,
          family.features.filter((name) => has.includes(name)),
        ),
      })),
    ),
  );
  return cpus.filter((cpu) => cpuKey(cpu) !== cpuKey(baseline));
}

export function cpuKey({ levels, platform, legacy }: Cpu): string {
  return [levels.join(':'), platform ?? '', legacy.join(':')].join('/');
}

/**
 * Returns the legacy subdirectories in the loader's order: every subset of the names, those with
 * more important names first, except the empty one.
 */
export function legacySubdirectories(names: readonly string[]): string[] {
  const found = new Set<string>();
  for (let choice = 2 ** names.length - 1; choice > 0; choice--) {
    const chosen = names.filter((_, index) => (choice & (1 << (names.length - 1 - index))) !== 0);
    found.add(chosen.join('/'));
  }
  return [...found];
}

function legacyNames(platform: string | undefined, features: readonly string[]): string[] {
  return ['tls', ...(platform === undefined ? [] : [platform]), ...features];
}
