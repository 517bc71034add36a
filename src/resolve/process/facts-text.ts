import type { DynamicSection, ElfFile } from '../../elf/types.js';
import type { ObjectFacts } from './runtime-facts.js';

/** An ELF file as it was read without any problem. */
export interface CleanFile {
  readonly elf: ElfFile;
  /** Undefined for static files. */
  readonly facts: ObjectFacts | undefined;
}

/** JSON has no sets. */
type Written = Omit<DynamicSection, 'versions'> & {
  readonly versions: Omit<DynamicSection['versions'], 'defines'> & {
    readonly defines: readonly string[] | undefined;
  };
};

/**
 * Returns a file's facts as JSON.
 *
 * @returns undefined for a file with a problem, whose description names its path
 */
export function textOfFile({ elf, facts }: CleanFile): string | undefined {
  const { dynamic } = elf;
  if (dynamic === undefined) return JSON.stringify({ elf });
  const { versions } = dynamic;
  if (versions.problem !== undefined) return undefined;
  const defines = versions.defines && [...versions.defines];
  const written: Written = { ...dynamic, versions: { ...versions, defines } };
  return JSON.stringify({ elf: { ...elf, dynamic: written }, facts });
}

/**
 * Returns the facts of a text from {@link textOfFile}. The objects have the properties of those that are read, in the
 * same order, undefined ones included: V8 is slower with objects of many forms.
 */
export function fileOfText(text: string): CleanFile {
  const { elf, facts } = JSON.parse(text) as CleanFile;
  const { identification, headers, interpreter, dynamic } = elf;
  const written = dynamic as Written | undefined;
  return {
    elf: { identification, headers, interpreter, dynamic: written && dynamicOf(written) },
    facts,
  };
}

function dynamicOf(written: Written): DynamicSection {
  const { versions } = written;
  return {
    soname: written.soname,
    needed: written.needed,
    dependencies: written.dependencies,
    rpath: written.rpath,
    runpath: written.runpath,
    filters: written.filters,
    auxiliaries: written.auxiliaries,
    audits: written.audits,
    noDefaultDirectories: written.noDefaultDirectories,
    isProgram: written.isProgram,
    versions: {
      needs: versions.needs,
      defines: versions.defines && new Set(versions.defines),
      hasTable: versions.hasTable,
      hasRelr: versions.hasRelr,
      problem: undefined,
    },
  };
}
