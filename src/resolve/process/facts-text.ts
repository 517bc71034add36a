import type { DlopenNeed } from '../../elf/notes.js';
import type {
  Dependency,
  DynamicSection,
  ElfFile,
  ElfHeaders,
  Segment,
  VersionNeed,
} from '../../elf/types.js';
import type { ObjectFacts } from './runtime-facts.js';

/** An ELF file as it was read without any problem. */
export interface CleanFile {
  readonly elf: ElfFile;
  /** Undefined for static files. */
  readonly facts: ObjectFacts | undefined;
}

/** JSON has null for undefined. */
type Nullable<T> = T | null;

type SegmentRow = readonly [
  type: Nullable<string>,
  offset: number,
  vaddr: number,
  filesz: number,
  memsz: number,
  isExecutable: 0 | 1,
];
type DlopenRow = readonly [
  sonames: readonly string[],
  priority: DlopenNeed['priority'],
  feature: Nullable<string>,
  description: Nullable<string>,
];
type DynamicRow = readonly [
  soname: Nullable<string>,
  rpath: Nullable<string>,
  runpath: Nullable<string>,
  /** One letter of `KINDS` for each dependency. */
  kinds: string,
  dependencies: readonly string[],
  audits: readonly string[],
  noDefaultDirectories: boolean,
  isProgram: boolean,
  needs: readonly (readonly [file: string, version: string, isWeak: 0 | 1])[],
  defines: Nullable<readonly string[]>,
  hasTable: boolean,
  hasRelr: boolean,
  imports: readonly string[],
  dlopens: readonly DlopenRow[],
];
type FileRow = readonly [
  identification: ElfFile['identification'],
  headers: Omit<ElfHeaders, 'segments'>,
  segments: readonly SegmentRow[],
  interpreter: Nullable<string>,
  dynamic: Nullable<DynamicRow>,
];

const KINDS: readonly Dependency['kind'][] = ['needed', 'filter', 'auxiliary'];

/**
 * Returns a file's facts as short JSON.
 *
 * @returns undefined for a file with a problem, which is described by its path
 */
export function textOfFile({ elf, facts }: CleanFile): string | undefined {
  const { identification, headers, interpreter, dynamic } = elf;
  if (dynamic?.versions.problem !== undefined || (dynamic === undefined) !== (facts === undefined))
    return undefined;
  const { segments, ...others } = headers;
  const row: FileRow = [
    identification,
    others,
    segments.map(segmentRow),
    interpreter ?? null,
    dynamic === undefined || facts === undefined ? null : dynamicRow(dynamic, facts),
  ];
  return JSON.stringify(row);
}

/** Returns the facts of a text from {@link textOfFile}. */
export function fileOfText(text: string): CleanFile {
  const [identification, headers, segments, interpreter, dynamic]: FileRow = JSON.parse(text);
  return {
    elf: {
      identification,
      headers: { ...headers, type: headers.type, segments: segments.map(segmentOf) },
      interpreter: interpreter ?? undefined,
      dynamic: dynamic === null ? undefined : dynamicOf(dynamic),
    },
    facts: dynamic === null ? undefined : factsOf(dynamic),
  };
}

function segmentRow({ type, offset, vaddr, filesz, memsz, isExecutable }: Segment): SegmentRow {
  return [type ?? null, offset, vaddr, filesz, memsz, isExecutable ? 1 : 0];
}

function segmentOf([type, offset, vaddr, filesz, memsz, isExecutable]: SegmentRow): Segment {
  return {
    type: type ?? undefined,
    offset,
    vaddr,
    filesz,
    memsz,
    isExecutable: isExecutable === 1,
  };
}

function dynamicRow(dynamic: DynamicSection, { imports, dlopens }: ObjectFacts): DynamicRow {
  const { soname, rpath, runpath, dependencies, audits, versions } = dynamic;
  return [
    soname ?? null,
    rpath ?? null,
    runpath ?? null,
    dependencies.map(({ kind }) => KINDS.indexOf(kind)).join(''),
    dependencies.map(({ name }) => name),
    audits,
    dynamic.noDefaultDirectories,
    dynamic.isProgram,
    versions.needs.map(({ file, version, isWeak }) => [file, version, isWeak ? 1 : 0] as const),
    versions.defines === undefined ? null : [...versions.defines],
    versions.hasTable,
    versions.hasRelr,
    imports,
    dlopens.map(
      ({ sonames, priority, feature, description }) =>
        [sonames, priority, feature ?? null, description ?? null] as const,
    ),
  ];
}

function dynamicOf(row: DynamicRow): DynamicSection {
  const [soname, rpath, runpath, kinds, names, audits, noDefaultDirectories, isProgram] = row;
  const [, , , , , , , , needs, defines, hasTable, hasRelr] = row;
  const dependencies = names.map((name, index) => {
    return { kind: KINDS[Number(kinds[index])] ?? 'needed', name } as const;
  });
  const namesOf = (kind: Dependency['kind']) =>
    dependencies.filter((one) => one.kind === kind).map(({ name }) => name);
  return {
    soname: soname ?? undefined,
    needed: namesOf('needed'),
    dependencies,
    rpath: rpath ?? undefined,
    runpath: runpath ?? undefined,
    filters: namesOf('filter'),
    auxiliaries: namesOf('auxiliary'),
    audits,
    noDefaultDirectories,
    isProgram,
    versions: {
      needs: needs.map(([file, version, isWeak]): VersionNeed => {
        return { file, version, isWeak: isWeak === 1 };
      }),
      defines: defines === null ? undefined : new Set(defines),
      hasTable,
      hasRelr,
      problem: undefined,
    },
  };
}

function factsOf(row: DynamicRow): ObjectFacts {
  const [, , , , , , , , , , , , imports, dlopens] = row;
  return {
    imports,
    dlopens: dlopens.map(([sonames, priority, feature, description]) => {
      return {
        sonames,
        priority,
        feature: feature ?? undefined,
        description: description ?? undefined,
      };
    }),
  };
}
