import { importedSymbols } from '../elf/imports.js';
import { type DlopenNeed, dlopenNeeds, readNotes } from '../elf/notes.js';
import { JailbuildError } from '../errors.js';
import type { LoadedObject } from '../loader/loaded-object.js';
import type { Sysroot, Trace } from '../sysroot/sysroot.js';
import { HINT_FUNCTIONS } from './hints.js';
import { NSS_FUNCTIONS } from './name-service.js';

/** What an object tells of what it opens when it runs. */
export interface ObjectFacts {
  /** Those of the functions it imports that some rule is about. */
  readonly imports: readonly string[];
  readonly dlopens: readonly DlopenNeed[];
}

/** Reads the facts of each file once, however many programs load it. */
export class RuntimeFacts {
  readonly warnings: string[] = [];
  readonly #sysroot: Sysroot;
  readonly #byIdentity = new Map<string, ObjectFacts>();
  readonly #known: (found: Trace) => ObjectFacts | undefined;

  /** @param known gives what need not be read */
  constructor(sysroot: Sysroot, known: (found: Trace) => ObjectFacts | undefined) {
    this.#sysroot = sysroot;
    this.#known = known;
  }

  /** Those of a file that was read, by its identity. */
  ofRead(identity: string): ObjectFacts | undefined {
    return this.#byIdentity.get(identity);
  }

  /** What is not well-formed is a warning: the loader takes the file all the same. */
  of({ trace, elf }: LoadedObject): ObjectFacts {
    const { identity } = trace.stat;
    const known = this.#byIdentity.get(identity) ?? this.#known(trace);
    if (known !== undefined) return known;
    const reader = this.#sysroot.open(trace);
    try {
      const facts = {
        imports: this.#tolerate([], () => watched(importedSymbols(reader, elf.headers))),
        dlopens: this.#tolerate([], () => dlopenNeeds(readNotes(reader, elf.headers), reader)),
      };
      this.#byIdentity.set(identity, facts);
      return facts;
    } finally {
      reader.close();
    }
  }

  #tolerate<T>(otherwise: T, read: () => T): T {
    try {
      return read();
    } catch (error) {
      if (!(error instanceof JailbuildError)) throw error;
      this.warnings.push(error.message);
      return otherwise;
    }
  }
}

function watched(names: Iterable<string>): string[] {
  const found: string[] = [];
  for (const name of names) {
    if (NSS_FUNCTIONS.has(name) || HINT_FUNCTIONS.has(name)) found.push(name);
  }
  return found;
}
