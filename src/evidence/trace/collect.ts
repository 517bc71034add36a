import { machine } from 'node:os';
import path from 'node:path';
import { JailbuildError } from '../../errors.js';
import type { FileType } from '../../fs/file-view.js';
import { isTrace, Sysroot } from '../../fs/sysroot.js';
import { interpreterOf } from './interpreters.js';
import type { ObservedCounts, ObservedUse } from './report.js';
import {
  FILE_USES,
  type FileState,
  type FileUse,
  TRACE_SCHEMA,
  type Trace,
  type TracedFile,
  type TracedSystem,
} from './trace.js';

/** Limits the paths kept of one run, so that a run cannot exhaust memory. */
const MAX_PATHS = 1_000_000;

/** Made by the kernel, and different for each process and machine. */
const KERNEL_FILES = /^\/(?:proc|sys|dev)(?:\/|$)/;
/** Directories with random names, where probing for a free name is no evidence. */
const TEMPORARY = /^\/(?:tmp|var\/tmp|run|dev\/shm)\/./;

/** Interpreters that Linux starts one for another (fs/exec.c, exec_binprm). */
const MAX_INTERPRETERS = 5;

const USES: ReadonlySet<string> = new Set(FILE_USES);

interface SeenFile {
  state: FileState;
  readonly uses: Map<string, Set<FileUse>>;
}

/** A directory or file of the host that a run sees at another path. */
export interface RunMount {
  readonly source: string;
  readonly target: string;
}

/** Makes a trace of the uses that an observer reports, in their order. */
export class TraceCollector {
  readonly #root: string;
  readonly #mounts: readonly RunMount[];
  readonly #files = new Map<string, SeenFile>();
  readonly #created = new Set<string>();
  #dropped = 0;

  /**
   * @param root the real path of the directory that is `/` for the run
   * @param mounts what of the host is mounted in it for the run
   */
  constructor(root: string, mounts: readonly RunMount[] = []) {
    this.#root = root;
    this.#mounts = mounts;
  }

  add({ use, result, program, path: name }: ObservedUse): void {
    if (!USES.has(use) || !name.startsWith('/')) return;
    const at = this.#canonical(name, program);
    if (KERNEL_FILES.test(at)) return;
    this.#note(at, use as FileUse, result, program);
  }

  /** Returns all files that were used, unordered, with their present types. */
  files(sysroot: Sysroot): TracedFile[] {
    for (const [program, { uses }] of [...this.#files]) {
      if ([...uses.values()].some((set) => set.has('execute')))
        this.#addInterpreters(sysroot, program);
    }
    return [...this.#files].flatMap(([at, seen]) => traced(sysroot, at, seen) ?? []);
  }

  /**
   * Returns the trace, with the present type of each file.
   *
   * @param home the home directory of the run
   */
  finish(counts: ObservedCounts, home: string | undefined): Trace {
    const sysroot = new Sysroot(this.#root);
    const files = this.files(sysroot).filter(({ path: at, state }) => !isByChance(at, state));
    return {
      schema: TRACE_SCHEMA,
      system: systemOf(sysroot),
      homes: home === undefined || home === '/' || !home.startsWith('/') ? [] : [home],
      incomplete: counts.unread + counts.elsewhere + counts.dropped + this.#dropped,
      files: files.sort((a, b) => (a.path < b.path ? -1 : 1)),
    };
  }

  /** Adds the interpreters that the kernel opens by itself for a program and its interpreter. */
  #addInterpreters(sysroot: Sysroot, program: string): void {
    let by = program;
    for (let count = 0; count < MAX_INTERPRETERS; count++) {
      const interpreter = this.#interpreterOf(sysroot, by);
      if (interpreter === undefined || KERNEL_FILES.test(interpreter)) return;
      const at = this.#canonical(interpreter, by);
      this.#note(at, 'execute', isTrace(sysroot.trace(at)) ? 'found' : 'absent', by);
      by = at;
    }
  }

  #interpreterOf(sysroot: Sysroot, program: string): string | undefined {
    const host = new Sysroot();
    const places = this.#mounts
      .filter(({ target }) => program.startsWith(`${target}/`))
      .map(({ source, target }) => source + program.slice(target.length));
    if (places.length === 0) return interpreterOf(sysroot, program);
    const at = places.find((place) => isTrace(host.trace(place)));
    return at === undefined ? undefined : interpreterOf(host, at);
  }

  #note(at: string, use: FileUse, result: string, program: string): void {
    let seen = this.#files.get(at);
    const state = this.#stateOf(at, result, seen?.state);
    if (seen === undefined) {
      if (this.#files.size >= MAX_PATHS) {
        this.#dropped++;
        return;
      }
      seen = { state, uses: new Map() };
      this.#files.set(at, seen);
    }
    seen.state = state;
    let uses = seen.uses.get(program);
    if (uses === undefined) {
      uses = new Set();
      seen.uses.set(program, uses);
    }
    uses.add(use);
    if (state === 'created') {
      this.#created.add(at);
      const parent = path.posix.dirname(at);
      // Creating a file requires its directory.
      if (!this.#isBelowCreated(parent)) this.#note(parent, 'hold', 'found', program);
    }
  }

  /** A file that existed before the run keeps that state, whatever the run does to it. */
  #stateOf(at: string, result: string, before: FileState | undefined): FileState {
    if (before === 'found' || before === 'created') return before;
    if (result === 'created' || (result === 'found' && before === 'absent')) return 'created';
    if (result === 'found') return this.#isBelowCreated(at) ? 'created' : 'found';
    return result === 'denied' ? 'denied' : (before ?? 'absent');
  }

  #isBelowCreated(at: string): boolean {
    for (let above = at; above !== '/'; above = path.posix.dirname(above)) {
      if (this.#created.has(above)) return true;
    }
    return false;
  }

  /** Removes `.`, `..` and empty names. Resolves `..` from the directory that the kernel was in. */
  #canonical(name: string, program: string): string {
    if (!name.includes('/..')) return clean(name);
    let at = '';
    for (const part of name.split('/')) {
      if (part === '' || part === '.') continue;
      if (part !== '..') {
        at = `${at}/${part}`;
        continue;
      }
      if (at === '') continue;
      // `..` requires that its directory exists.
      const here = new Sysroot(this.#root).trace(at);
      if (!KERNEL_FILES.test(at))
        this.#note(at, 'stat', isTrace(here) ? 'found' : 'absent', program);
      at = path.posix.dirname(isTrace(here) ? here.path : at);
      if (at === '/') at = '';
    }
    return at === '' ? '/' : at;
  }
}

function clean(name: string): string {
  if (!/\/\/|\/\.(?:\/|$)|.\/$/.test(name)) return name;
  return `/${name
    .split('/')
    .filter((part) => part !== '' && part !== '.')
    .join('/')}`;
}

function isByChance(at: string, state: FileState): boolean {
  return (state === 'absent' || state === 'created') && TEMPORARY.test(at);
}

/** Returns a file as a trace describes it; undefined for a file that the run made and removed. */
function traced(sysroot: Sysroot, at: string, seen: SeenFile): TracedFile | undefined {
  const type = typeAt(sysroot, at);
  if (type === undefined && seen.state === 'created') return undefined;
  const state = type === undefined && seen.state === 'found' ? 'removed' : seen.state;
  const uses = [...seen.uses]
    .map(([program, set]) => [program, FILE_USES.filter((use) => set.has(use))] as const)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  const isThere = state !== 'absent' && state !== 'denied' && type !== undefined;
  return {
    path: at,
    state,
    ...(isThere ? { type } : {}),
    uses: Object.fromEntries(uses),
  };
}

/** Returns the type of the file at a path, without following a link at its end. */
export function typeAt(sysroot: Sysroot, at: string): FileType | undefined {
  const parent = sysroot.trace(path.posix.dirname(at));
  if (!isTrace(parent) || parent.stat.type !== 'directory') return undefined;
  if (at === '/') return 'directory';
  const name = path.posix.basename(at);
  try {
    return sysroot.statOf(`${parent.path === '/' ? '' : parent.path}/${name}`).type;
  } catch (error) {
    if (error instanceof JailbuildError) return undefined;
    throw error;
  }
}

const OS_RELEASE = ['/etc/os-release', '/usr/lib/os-release'];

/** Returns the identity of a root's system (os-release(5)). */
export function systemOf(sysroot: Sysroot): TracedSystem {
  const file = OS_RELEASE.map((name) => sysroot.trace(name)).find(isTrace);
  const text = file?.stat.type === 'file' ? sysroot.readText(file) : '';
  const value = (name: string): string | undefined =>
    new RegExp(`^${name}=["']?([^"'\n]*)`, 'm').exec(text)?.[1];
  const [id, version] = [value('ID'), value('VERSION_ID')];
  return {
    ...(id === undefined ? {} : { id }),
    ...(version === undefined ? {} : { version }),
    machine: machine(),
  };
}
