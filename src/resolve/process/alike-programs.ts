import type { LoadedObject } from '../../loader/loaded-object.js';
import type { Edge, ProcessImage } from '../../loader/process.js';
import type { LibrarySearch } from '../../loader/search.js';
import { LIBC_FUNCTIONS } from './libc-libraries.js';
import { NSS_FUNCTIONS } from './name-service.js';
import type { ObjectFacts } from './runtime-facts.js';

/** A process that others may be alike. */
interface First {
  readonly image: ProcessImage;
  /** Look-ups of the program itself. */
  readonly edges: readonly Edge[];
  /** The files of the other objects. */
  readonly identities: ReadonlySet<string>;
}

/**
 * Programs that need the same libraries in the same order, have no search path, and open nothing by
 * themselves: their processes differ in the program alone, so that one of them is mapped for all. Of the
 * programs of a distribution, three of four are like another one.
 */
export class AlikePrograms {
  readonly #firsts = new Map<LibrarySearch, Map<string, First>>();

  /** Returns what a program looks up, if a process like its own was mapped before. */
  edgesOf(program: LoadedObject, search: LibrarySearch): readonly Edge[] | undefined {
    const first = this.#firsts.get(search)?.get(keyOf(program));
    if (first === undefined || first.identities.has(program.trace.stat.identity)) return undefined;
    if (!first.image.meets(program)) return undefined;
    return first.edges.map((edge) => ({ ...edge, by: program }));
  }

  /** Notes a mapped process, before it opens anything. */
  add(program: LoadedObject, search: LibrarySearch, image: ProcessImage): void {
    if (image.missing.length > 0 || !image.meets(program)) return;
    const others = image.loaded.filter((object) => object !== program);
    const first: First = {
      image,
      edges: image.edges.filter(({ by }) => by === program),
      identities: new Set(others.map(({ trace }) => trace.stat.identity)),
    };
    const known = this.#firsts.get(search);
    if (known === undefined) this.#firsts.set(search, new Map([[keyOf(program), first]]));
    else known.set(keyOf(program), first);
  }
}

/** Returns whether the process of a program depends on nothing but what the program needs. */
export function mayBeAlike({ elf }: LoadedObject, { imports, dlopens }: ObjectFacts): boolean {
  if (elf.dynamic === undefined) return false;
  const { soname, rpath, runpath, audits, noDefaultDirectories } = elf.dynamic;
  const { needed, dependencies, versions } = elf.dynamic;
  return (
    soname === undefined &&
    rpath === undefined &&
    runpath === undefined &&
    audits.length === 0 &&
    !noDefaultDirectories &&
    versions.problem === undefined &&
    dlopens.length === 0 &&
    dependencies.every(({ kind, name }) => kind === 'needed' && !/[$/]/.test(name)) &&
    versions.needs.every(({ file }) => needed.includes(file)) &&
    !imports.some((name) => NSS_FUNCTIONS.has(name) || LIBC_FUNCTIONS.has(name))
  );
}

function keyOf({ elf }: LoadedObject): string {
  return elf.dynamic?.needed.join('\0') ?? '';
}
