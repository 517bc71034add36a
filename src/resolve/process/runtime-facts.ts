import { importedSymbols, WantedNames } from '../../elf/imports.js';
import { type DlopenNeed, dlopenNeeds, readNotes } from '../../elf/notes.js';
import type { ByteSource, ElfFile } from '../../elf/types.js';
import { JailbuildError } from '../../errors.js';
import type { Trace } from '../../fs/sysroot.js';
import type { LoadedObject } from '../../loader/loaded-object.js';
import { HINT_FUNCTIONS } from '../usage/hints.js';
import { MODULE_FUNCTIONS } from '../usage/library-modules.js';
import { SPAWN_FUNCTIONS } from '../usage/shell.js';
import { LIBC_FUNCTIONS } from './libc-libraries.js';
import { NSS_FUNCTIONS } from './name-service.js';

/** Facts about the files that an object opens at run time. */
export interface ObjectFacts {
  /** The imported functions that rules use. */
  readonly imports: readonly string[];
  readonly dlopens: readonly DlopenNeed[];
}

export const GLIBC_SONAME = /^libc\.so\.6(\.1)?$/;

/** The facts of files, each read once while it is open for its headers. */
export class RuntimeFacts {
  readonly warnings: string[] = [];
  readonly #byIdentity = new Map<string, ObjectFacts>();
  /** Warnings for files that no process has loaded yet. */
  readonly #warnings = new Map<string, readonly string[]>();
  readonly #known: (found: Trace) => ObjectFacts | undefined;

  /** @param known returns facts that need not be read */
  constructor(known: (found: Trace) => ObjectFacts | undefined) {
    this.#known = known;
  }

  /** Returns the facts of a file that was read, by its identity. */
  ofRead(identity: string): ObjectFacts | undefined {
    return this.#byIdentity.get(identity);
  }

  /**
   * Reads the facts of an open file. Malformed parts are warnings, since the loader accepts the
   * file.
   *
   * @returns whether there are no warnings
   */
  read(source: ByteSource, { headers, dynamic }: ElfFile, { stat }: Trace): boolean {
    if (dynamic === undefined) return true;
    const warnings: string[] = [];
    this.#byIdentity.set(stat.identity, {
      imports: tolerate<string[]>(warnings, [], () => importedSymbols(source, headers, WATCHED)),
      dlopens: tolerate<DlopenNeed[]>(warnings, [], () =>
        dlopenNeeds(readNotes(source, headers), source),
      ),
    });
    this.#warnings.set(stat.identity, warnings);
    return warnings.length === 0;
  }

  /** Takes the facts of a file that need not be read. */
  take({ stat }: Trace, facts: ObjectFacts): void {
    this.#byIdentity.set(stat.identity, facts);
  }

  of({ trace }: LoadedObject): ObjectFacts {
    const { identity } = trace.stat;
    this.warnings.push(...(this.#warnings.get(identity) ?? []));
    this.#warnings.delete(identity);
    return this.#byIdentity.get(identity) ?? this.#known(trace) ?? NO_FACTS;
  }
}

const NO_FACTS: ObjectFacts = { imports: [], dlopens: [] };

function tolerate<T>(warnings: string[], otherwise: T, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof JailbuildError)) throw error;
    warnings.push(error.message);
    return otherwise;
  }
}

/** The imported functions that rules use. */
export const WATCHED = new WantedNames([
  ...NSS_FUNCTIONS.keys(),
  ...LIBC_FUNCTIONS,
  ...HINT_FUNCTIONS,
  ...SPAWN_FUNCTIONS,
  ...MODULE_FUNCTIONS,
  'nl_langinfo',
]);
