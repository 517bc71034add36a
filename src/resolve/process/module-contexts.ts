import type { ElfFile } from '../../elf/types.js';
import { isTrace, type Trace } from '../../fs/sysroot.js';
import { type LoadedObject, loadedObject } from '../../loader/loaded-object.js';
import { type ObjectTable, sameAbi } from '../../loader/objects.js';
import { mapProcess, type ProcessImage } from '../../loader/process.js';
import type { LibrarySearch } from '../../loader/search.js';

/** A program of the jail as its loader maps it. */
export interface MappedProgram {
  readonly program: LoadedObject;
  readonly interpreter: LoadedObject | undefined;
  readonly search: LibrarySearch;
}

/** A shared library that some program may open: a module, or one that the user names. */
export interface Module {
  readonly trace: Trace;
  readonly elf: ElfFile;
}

/** A process that has loaded a module. */
export interface ModuleProcess {
  readonly image: ProcessImage;
  readonly search: LibrarySearch;
}

/**
 * The maximum number of programs tried for a module whose dependencies are not found without one.
 */
const MAX_TRIED = 16;

/**
 * Names of the C libraries; an object that needs one can only be loaded by processes that have it.
 */
const C_LIBRARY = { glibc: /^libc\.so\.6(\.1)?$/, musl: /^libc\.(so|musl-[^/]*)$/ } as const;

/**
 * Maps a module as programs of the jail would: dlopen(3) uses the loader of the process and the
 * search paths of the program, and loaded objects satisfy their names. Of several programs, the one
 * with the fewest missing libraries is used.
 *
 * @param alone returns the search for a module that no program of the jail can open
 */
export function mapModule(
  module: Module,
  programs: readonly MappedProgram[],
  alone: () => Pick<MappedProgram, 'interpreter' | 'search'>,
): ModuleProcess {
  const able = programs.filter((one) => canOpen(one, module.elf));
  const contexts = new Map(able.map((one) => [one.search, one] as const));
  let best: ModuleProcess | undefined;
  const isBetter = ({ image }: ModuleProcess) =>
    best === undefined || image.missing.length < best.image.missing.length;
  const isWhole = () => best !== undefined && best.image.missing.length === 0;

  for (const { interpreter, search } of contexts.size === 0 ? [alone()] : contexts.values()) {
    const own = loadedObject(module.trace.path, module.trace, module.elf, undefined, 'path');
    const found = { image: mapProcess(own, interpreter, search), search };
    if (isBetter(found)) best = found;
    if (isWhole()) break;
  }
  for (const { program, interpreter, search } of able.slice(0, MAX_TRIED)) {
    if (isWhole()) break;
    const image = mapProcess(program, interpreter, search);
    if (image.missing.length > 0) continue;
    image.open(module.trace.path, program);
    const found = { image, search };
    if (isBetter(found)) best = found;
  }
  if (best === undefined) throw new Error('a module was mapped in no process');
  return best;
}

/** Returns whether a process of a program can load an object: one of its ABI and C library. */
function canOpen({ program, search }: MappedProgram, elf: ElfFile): boolean {
  if (!sameAbi(program.elf.headers, elf.headers)) return false;
  const needed = elf.dynamic?.needed ?? [];
  const other = C_LIBRARY[search.flavor.kind === 'musl' ? 'glibc' : 'musl'];
  const own = C_LIBRARY[search.flavor.kind];
  return needed.some((name) => own.test(name)) || !needed.some((name) => other.test(name));
}

/**
 * Returns whether a file is not itself a program: programs name an interpreter, or are not `dyn`.
 */
export function isModule({ headers, interpreter, dynamic }: ElfFile): boolean {
  return headers.type === 'dyn' && interpreter === undefined && dynamic?.isProgram === false;
}

/**
 * Returns the interpreter that a musl library names through its C library: `libc.musl-x86_64.so.1`.
 */
export function muslInterpreterOf(
  { dynamic }: ElfFile,
  objects: ObjectTable,
): LoadedObject | undefined {
  for (const needed of dynamic?.needed ?? []) {
    const [, machine] = /^libc\.musl-([A-Za-z0-9_-]+)\.so\.1$/.exec(needed) ?? [];
    if (machine === undefined) continue;
    const name = `/lib/ld-musl-${machine}.so.1`;
    const trace = objects.sysroot.trace(name);
    if (!isTrace(trace)) return undefined;
    return loadedObject(name, trace, objects.parse(trace), undefined, 'interpreter');
  }
  return undefined;
}
