import { JailbuildError } from '../../errors.js';
import type { PackageDatabase } from '../../evidence/packages/package.js';
import type { Sysroot } from '../../fs/sysroot.js';
import type { Advice } from '../../manifest/advice.js';
import type { Resolution } from '../additions.js';
import type { FoundProgram } from '../find-program.js';
import type { OutsideProgram } from '../jail-path.js';
import type { KeptFiles } from '../process/kept-files.js';
import type { ScriptGap } from '../scripts/script-commands.js';
import { addsPackage } from './advised-program.js';
import { JailContents } from './jail-contents.js';
import { adviceOnPath, adviceOnScripts, type Weighed } from './script-advice.js';
import { Verdicts } from './verdicts.js';

/** A resolved request, to be advised on. */
export interface Advisable {
  readonly resolution: Resolution;
  readonly requested: readonly FoundProgram[];
  /** What could not be determined about scripts. */
  readonly gaps: readonly ScriptGap[];
  readonly outside: readonly OutsideProgram[];
  /** Whether the commands of shell scripts were added. */
  readonly areScriptsFollowed: boolean;
}

/** What is known of the host. */
export interface AdviceSources {
  /** Opens the package database; undefined if there is none. */
  readonly openDatabase: (probe: Sysroot) => Promise<PackageDatabase | undefined>;
  /** The advice of earlier runs, to which this one adds. */
  readonly kept: KeptFiles | undefined;
}

/**
 * The maximum number of programs with advice on each: more advice is not read, and takes longer
 * than the rest.
 */
const MAX_PROGRAMS = 256;

/** Returns advice on what programs may lack in a jail, the likeliest first. */
export async function adviceOn(
  asked: Advisable,
  { openDatabase, kept }: AdviceSources,
): Promise<readonly Advice[]> {
  const { resolution, requested, gaps, outside, areScriptsFollowed } = asked;
  const { sources, sysroot, programs } = resolution;
  // Files read for advice are not part of the closure.
  const { probe } = sources;
  const scripts = areScriptsFollowed ? programs.shellScripts : [];
  const followed = new Set(scripts.map(({ trace }) => trace.path));
  const jail = new JailContents(resolution, probe, followed);
  // Content that was placed over the sources is not on the host.
  const verdicts =
    kept === undefined || sysroot !== sources ? undefined : new Verdicts(kept, probe, jail);
  const advised = requested.length > MAX_PROGRAMS ? [] : requested;
  const known = advised.map((program) => verdicts?.recall(program));
  const isKnown = gaps.length === 0 && known.every((advice) => advice !== undefined);
  const advisers = isKnown ? undefined : await loadAdvisers(resolution, probe, jail, openDatabase);
  const onPrograms = advised.flatMap(
    (program, at) => known[at] ?? advisers?.adviceOn(program, verdicts) ?? [],
  );
  const brought = new Set(onPrograms.filter(addsPackage).map(({ advice }) => advice.program));
  const onScripts =
    advisers === undefined ? [] : adviceOnScripts(probe, requested, gaps, advisers.gaps);
  const found = [
    ...onPrograms,
    // What a script computes is rather in its package, which is advised.
    ...onScripts.filter(({ advice }) => advice.add.length > 0 || !brought.has(advice.program)),
    ...adviceOnPath(outside),
  ];
  return likeliestFirst(found).map(({ advice }) => advice);
}

/** Loads the rules only if they are needed. */
async function loadAdvisers(
  resolution: Resolution,
  probe: Sysroot,
  jail: JailContents,
  openDatabase: AdviceSources['openDatabase'],
) {
  const { Advisers } = await import('./advisers.js');
  return new Advisers(resolution, probe, jail, await databaseIfReadable(probe, openDatabase));
}

/** A database that cannot be read is no reason to fail: advice is then based on files alone. */
async function databaseIfReadable(probe: Sysroot, openDatabase: AdviceSources['openDatabase']) {
  try {
    return await openDatabase(probe);
  } catch (error) {
    if (!(error instanceof JailbuildError)) throw error;
    return undefined;
  }
}

/** Leaves out what other advice adds as well. */
function likeliestFirst(found: readonly Weighed[]): Weighed[] {
  const seen = new Set<string>();
  return found
    .toSorted((a, b) => b.weight - a.weight)
    .filter(({ advice }) => {
      const key = advice.add.join(' ') || advice.text;
      return !seen.has(key) && seen.add(key);
    });
}
