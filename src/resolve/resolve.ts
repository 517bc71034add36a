import { isElf } from '../elf/headers.js';
import type { ElfFile } from '../elf/types.js';
import { JailbuildError } from '../errors.js';
import { type LoaderFlavor, loaderFlavor } from '../loader/flavor.js';
import type { LoadedObject } from '../loader/loaded-object.js';
import { ObjectTable } from '../loader/objects.js';
import { loadedObject, mapProcess } from '../loader/process.js';
import { LibrarySearch, LoaderFiles } from '../loader/search.js';
import type { ManifestRequest, MissingLibrary } from '../plan/manifest.js';
import { isTrace, Sysroot, type Trace } from '../sysroot/sysroot.js';
import { type CollectedFile, FileCollection } from './file-collection.js';
import { type FoundProgram, findProgram } from './find-program.js';
import type { ResolveRequest } from './request.js';
import { addTerminfo } from './terminfo.js';

const LD_SO_CACHE = '/etc/ld.so.cache';
/** What login(1) and the C library take where PATH is not set. */
const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** What a merged-/usr distribution may have as links in the root directory. */
const MERGED_USR_LINKS = ['/bin', '/sbin', '/lib', '/lib32', '/lib64', '/libx32'];

/** All that the requested programs need, before it is put in the form of a plan. */
export interface Closure {
  readonly request: ManifestRequest;
  readonly sysroot: Sysroot;
  /** In the order of their paths. */
  readonly files: readonly CollectedFile[];
  readonly missing: readonly MissingLibrary[];
  readonly warnings: readonly string[];
}

/**
 * From requested programs to everything they need, with the reason for each file. Reads only, and
 * runs nothing.
 *
 * Libraries that no rule finds are reported in `missing`, not thrown.
 *
 * @throws JailbuildError PROGRAM_NOT_FOUND, NOT_READABLE, NOT_A_REGULAR_FILE, NOT_ELF, SCRIPT,
 *   MALFORMED_ELF, MALFORMED_CACHE, INTERPRETER_NOT_FOUND, TERMINFO_NOT_FOUND
 */
export function resolve(request: ResolveRequest): Closure {
  const sysroot = new Sysroot(request.sysroot);
  const isHost = sysroot.prefix === '';
  const searchPath =
    request.path ?? ((isHost ? process.env.PATH : undefined) || DEFAULT_PATH).split(':');
  const cwd = request.cwd ?? (isHost ? process.cwd() : '/');
  const terminfo = request.terminfo ?? 'default';
  const ldCache = request.ldCache ?? 'copy';

  const files = new FileCollection(sysroot);
  const programs = new ProgramResolver(sysroot, files);
  for (const name of request.programs) {
    programs.add(findProgram(sysroot, name, searchPath, cwd));
  }
  const term = request.term ?? process.env.TERM;
  const warnings = [...programs.warnings, ...addTerminfo(sysroot, files, terminfo, term)];

  if (ldCache === 'copy' && programs.anyUsesLdSoCache) {
    const cache = sysroot.trace(LD_SO_CACHE);
    if (isTrace(cache)) files.add(cache, { kind: 'ld-cache' });
  }
  addMergedUsrLinks(sysroot, files);
  return {
    request: {
      programs: request.programs,
      terminfo: terminfo === 'default' ? terminfoNames(files) : terminfo,
      ldCache,
    },
    sysroot,
    files: files.sorted(),
    missing: programs.missing,
    warnings,
  };
}

/**
 * Adds the host's /bin -> usr/bin and its like where the jail has the directory behind: scripts and
 * users name programs by either path (file-hierarchy(7)).
 */
function addMergedUsrLinks(sysroot: Sysroot, files: FileCollection): void {
  for (const path of MERGED_USR_LINKS) {
    const trace = sysroot.trace(path);
    if (isTrace(trace) && trace.links.length > 0 && files.has(trace.path)) {
      files.add(trace, { kind: 'merged-usr' });
    }
  }
}

function terminfoNames(files: FileCollection): string[] {
  const names = files
    .sorted()
    .flatMap(({ reasons }) => reasons)
    .flatMap((reason) => (reason.kind === 'terminfo' ? [reason.name] : []));
  return [...new Set(names)].sort();
}

/** Adds programs with their interpreters and libraries to a collection of files. */
class ProgramResolver {
  readonly missing: MissingLibrary[] = [];
  readonly warnings: string[] = [];
  anyUsesLdSoCache = false;
  readonly #sysroot: Sysroot;
  readonly #files: FileCollection;
  readonly #objects: ObjectTable;
  readonly #loaderFiles: LoaderFiles;
  readonly #searches = new Map<string, { flavor: LoaderFlavor; search: LibrarySearch }>();
  readonly #done = new Set<string>();
  readonly #missingSeen = new Set<string>();

  constructor(sysroot: Sysroot, files: FileCollection) {
    this.#sysroot = sysroot;
    this.#files = files;
    this.#objects = new ObjectTable(sysroot);
    this.#loaderFiles = new LoaderFiles(this.#objects);
  }

  add({ as, trace }: FoundProgram): void {
    this.#files.add(trace, { kind: 'requested', as });
    if (this.#done.has(trace.path)) return;
    this.#done.add(trace.path);

    const elf = this.#parseProgram(trace);
    const program = loadedObject(trace.path, trace, elf, undefined, 'path');
    const interpreter = this.#interpreter(program);
    if (elf.dynamic === undefined) return;
    // A static-pie program has a dynamic section that the program itself works off.
    if (interpreter === undefined && elf.dynamic.needed.length === 0) return;

    const { flavor, search } = this.#searchFor(elf, interpreter);
    if (flavor.kind === 'glibc') this.anyUsesLdSoCache = true;
    const image = mapProcess(program, interpreter, search);
    for (const { by, name, rule, to, lookup } of image.edges) {
      this.#files.add(lookup ?? to.trace, { kind: 'needed', by: by.trace.path, name, rule });
    }
    for (const { of, variant } of image.variants) {
      this.#files.add(variant.trace, {
        kind: 'hwcaps',
        of: FileCollection.nameOf(of.trace),
        level: variant.level,
      });
    }
    for (const library of image.missing) {
      const key = `${library.name}\0${library.neededBy}`;
      if (!this.#missingSeen.has(key)) this.missing.push(library);
      this.#missingSeen.add(key);
    }
  }

  #parseProgram(trace: Trace): ElfFile {
    try {
      return this.#objects.parse(trace);
    } catch (error) {
      if (error instanceof JailbuildError && error.code === 'NOT_ELF') {
        throw notElf(this.#sysroot, trace);
      }
      throw error;
    }
  }

  #interpreter(program: LoadedObject): LoadedObject | undefined {
    const path = program.elf.interpreter;
    if (path === undefined) return undefined;
    const trace = this.#sysroot.trace(path);
    if (!isTrace(trace) || trace.stat.type !== 'file') {
      throw new JailbuildError(
        'INTERPRETER_NOT_FOUND',
        `${program.trace.path}: its interpreter ${path} does not exist`,
        program.trace.path,
      );
    }
    this.#files.add(trace, { kind: 'interpreter', of: program.trace.path });
    return loadedObject(path, trace, this.#objects.parse(trace), undefined, 'interpreter');
  }

  #searchFor(elf: ElfFile, interpreter: LoadedObject | undefined) {
    const { headers } = elf;
    const key = `${interpreter?.name}/${headers.class}/${headers.byteOrder}/${headers.machine}/${headers.flags}`;
    let known = this.#searches.get(key);
    if (known === undefined) {
      const flavor = loaderFlavor(this.#sysroot, interpreter?.name, interpreter?.trace, headers);
      known = { flavor, search: new LibrarySearch(this.#loaderFiles, flavor, headers) };
      this.#searches.set(key, known);
    }
    return known;
  }
}

/** Tells what a file that is no ELF file is: a script names its interpreter. */
function notElf(sysroot: Sysroot, trace: Trace): JailbuildError {
  const reader = sysroot.open(trace);
  try {
    const start = reader.read(0, 256);
    if (!isElf(start) && start.length >= 2 && start.toString('latin1', 0, 2) === '#!') {
      const line = start.toString('utf8', 2).split('\n', 1)[0]?.trim() ?? '';
      return new JailbuildError(
        'SCRIPT',
        `${trace.path}: is a script for ${line || 'no interpreter'}; name an ELF program instead`,
        trace.path,
      );
    }
    const what = start.length === 0 ? 'is an empty file' : 'is neither an ELF file nor a script';
    return new JailbuildError('NOT_ELF', `${trace.path}: ${what}`, trace.path);
  } finally {
    reader.close();
  }
}
