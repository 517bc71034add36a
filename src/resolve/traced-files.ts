import path from 'node:path';
import { JailbuildError } from '../errors.js';
import { systemOf, typeAt } from '../evidence/trace/collect.js';
import { isSecret } from '../evidence/trace/secrets.js';
import type { FileUse, Trace, TracedFile } from '../evidence/trace/trace.js';
import { readTrace } from '../evidence/trace/trace-json.js';
import { isTrace, type Trace as LookUp } from '../fs/sysroot.js';
import type { Reason } from '../manifest/manifest.js';
import type { ResolveRequest } from '../manifest/request.js';
import type { Resolution } from './additions.js';
import { LD_SO_CACHE } from './ld-so-cache.js';

/** Uses that a program cannot do without, the most significant first. */
const TELLING: readonly FileUse[] = [
  ...(['execute', 'open', 'write', 'list', 'readlink', 'access', 'stat'] as const),
  ...(['chdir', 'connect', 'hold'] as const),
];
/** Uses that do not depend on the file's previous content. */
const OVERWRITES: ReadonlySet<FileUse> = new Set([
  'overwrite',
  'remove',
  'make',
  'rename',
  'change',
]);
/** Caches below a home and of the system, which programs recreate when needed. */
const CACHES = /^\/var\/cache\/(?!man\/|fontconfig\/)./;

/**
 * Directories with files of many programs. With `--trace-scope directories`, these are not added
 * whole; other directories are.
 */
const SHARED_DIRECTORIES =
  /^\/(?:(?:usr\/(?:local\/)?)?(?:bin|sbin|games|lib|lib32|lib64|libexec|libx32|share|include)(?:\/[^/]+-linux-[^/]+)?|usr|usr\/local|etc|opt|srv|mnt|media|boot|var|var\/(?:lib|cache|log|tmp|spool)|run|tmp|root|home|home\/[^/]+)?$/;

/** Returns whether a directory contains files of many programs. */
export function isSharedDirectory(directory: string): boolean {
  return SHARED_DIRECTORIES.test(directory);
}

/** The maximum number of items listed in a message; the rest is counted. */
const LISTED = 10;

/**
 * Adds what the runs of traces used: files that existed before the run and were opened, executed,
 * checked, listed or read as a link, with links and directories on the way. The rules for programs
 * and libraries apply to them all.
 *
 * Does not add files that the run made, files of the kernel, caches and secrets, unless something
 * else adds them.
 *
 * @returns warnings
 * @throws JailbuildError NOT_READABLE, TRACE_INVALID; TRACE_STALE for files that have changed since
 *   the trace, unless the request allows that
 */
export function addTracedFiles(resolution: Resolution, request: ResolveRequest): string[] {
  return (request.traces ?? []).flatMap((file) =>
    new TracedFiles(resolution, request, file).add(readTrace(file)),
  );
}

class TracedFiles {
  readonly #resolution: Resolution;
  readonly #request: ResolveRequest;
  readonly #file: string;
  readonly #name: string;
  readonly #stale: string[] = [];
  readonly #withheld: string[] = [];
  readonly #sockets: string[] = [];
  /** Directories that were added whole. */
  readonly #widened = new Set<string>();

  constructor(resolution: Resolution, request: ResolveRequest, file: string) {
    this.#resolution = resolution;
    this.#request = request;
    this.#file = file;
    this.#name = path.basename(file);
  }

  add(trace: Trace): string[] {
    const allow = this.#request.allowStaleTraces ?? false;
    const system = systemOf(this.#resolution.sysroot);
    if (!allow && (system.id !== trace.system.id || system.version !== trace.system.version)) {
      throw new JailbuildError(
        'TRACE_STALE',
        `${this.#file}: is a trace of ${systemText(trace.system)}, but the files are from ${systemText(system)}; give --allow-missing to use it all the same`,
        this.#file,
      );
    }
    for (const file of trace.files) {
      if (file.state === 'found' && !this.#isLeftOut(file, trace.homes)) this.#addFile(file);
    }
    if (this.#stale.length > 0 && !allow) {
      throw new JailbuildError(
        'TRACE_STALE',
        `${this.#file}: no longer there or of another type: ${listed(this.#stale)}; trace the run again, or give --allow-missing to build without them`,
        this.#file,
      );
    }
    return this.#warnings(trace);
  }

  #warnings({ incomplete }: Trace): string[] {
    const say = (paths: readonly string[], what: string): string[] =>
      paths.length === 0 ? [] : [`${this.#name}: ${what}: ${listed(paths)}`];
    return [
      ...say(this.#stale, 'no longer there or of another type, and left out'),
      ...say(this.#withheld, 'secrets that the run read are withheld; name them with --include'),
      ...say(this.#sockets, 'the run connected to sockets that a jail cannot hold; bind them in'),
      ...(incomplete === 0 ? [] : [`${this.#name}: incomplete: ${incomplete} uses were not seen`]),
    ];
  }

  #isLeftOut({ path: at }: TracedFile, homes: readonly string[]): boolean {
    if (at === '/' || at === LD_SO_CACHE || CACHES.test(at)) return true;
    return homes.some((home) => at.startsWith(`${home === '/' ? '' : home}/.cache/`));
  }

  #addFile(file: TracedFile): void {
    const { sysroot, files } = this.#resolution;
    const type = typeAt(sysroot, file.path);
    if (type === undefined || (file.type !== undefined && type !== file.type)) {
      this.#stale.push(file.path);
      return;
    }
    const found = sysroot.trace(file.path);
    if (!isTrace(found)) {
      this.#addDangling(file);
      return;
    }
    if (found.path === '/' || /^\/(?:proc|sys|dev)(?:\/|$)/.test(found.path)) return;
    if (isOverwritten(file)) {
      this.#addDirectory(path.posix.dirname(file.path), file);
      return;
    }
    if (!files.has(found.path) && isSecret(sysroot, file.path, found)) {
      this.#withheld.push(file.path);
      return;
    }
    this.#bring(found, file);
  }

  /** Adds a dangling link, in which programs store information. */
  #addDangling(file: TracedFile): void {
    const { sysroot, files } = this.#resolution;
    const parent = sysroot.trace(path.posix.dirname(file.path));
    if (!isTrace(parent)) return;
    const at = path.posix.join(parent.path, path.posix.basename(file.path));
    if (parent.path !== '/') files.add(parent, { kind: 'parent' });
    files.addLink(at, this.#reason(file));
  }

  #bring(found: LookUp, file: TracedFile): void {
    const { files, programs } = this.#resolution;
    const reason = this.#reason(file);
    switch (found.stat.type) {
      case 'directory':
        files.add(found, reason);
        if (this.#request.traceScope === 'directories' && usesOf(file).includes('list'))
          this.#widen(found, reason);
        break;
      case 'file':
        if (usesOf(file).includes('execute')) this.#addProgram(found, reason);
        files.add(found, reason);
        programs.addObject(found);
        if (this.#request.traceScope === 'directories') this.#widenAround(found, reason);
        break;
      case 'socket':
        this.#sockets.push(file.path);
        break;
      default:
        break;
    }
  }

  /** Adds a program that a run executed, ignoring errors: the run did not need what it lacks. */
  #addProgram(found: LookUp, reason: Reason): void {
    try {
      this.#resolution.programs.addWithReason(found, reason);
    } catch (error) {
      if (!(error instanceof JailbuildError)) throw error;
    }
  }

  #addDirectory(at: string, file: TracedFile): void {
    const found = this.#resolution.sysroot.trace(at);
    if (isTrace(found) && found.path !== '/') this.#resolution.files.add(found, this.#reason(file));
  }

  #widenAround(found: LookUp, reason: Reason): void {
    const directory = this.#resolution.sysroot.trace(path.posix.dirname(found.path));
    if (isTrace(directory)) this.#widen(directory, reason);
  }

  /** Adds all files of a directory and of those below it. */
  #widen(directory: LookUp, reason: Reason): void {
    if (isSharedDirectory(directory.path) || this.#widened.has(directory.path)) return;
    this.#widened.add(directory.path);
    const { sysroot, files, programs } = this.#resolution;
    for (const name of sysroot.list(directory)) {
      const at = `${directory.path}/${name}`;
      const found = sysroot.trace(at);
      if (!isTrace(found)) continue;
      const { type } = found.stat;
      if (type === 'directory' && found.links.length === 0) {
        files.add(found, reason);
        this.#widen(found, reason);
      } else if (type === 'file' && !isSecret(sysroot, at, found)) {
        files.add(found, reason);
        programs.addObject(found);
      }
    }
  }

  #reason(file: TracedFile): Reason {
    const use = TELLING.find((item) => usesOf(file).includes(item)) ?? 'stat';
    const by = Object.entries(file.uses).find(([, uses]) => uses.includes(use))?.[0] ?? '';
    return { kind: 'observed', use, in: this.#name, ...(by === '' ? {} : { by }) };
  }
}

function usesOf(file: TracedFile): readonly FileUse[] {
  return Object.values(file.uses).flat();
}

/** Returns whether the run only replaced a file by another one. */
function isOverwritten(file: TracedFile): boolean {
  const uses = usesOf(file);
  return (
    file.type === 'file' &&
    uses.some((use) => use === 'overwrite') &&
    uses.every((use) => OVERWRITES.has(use))
  );
}

function systemText({ id, version, machine }: Trace['system']): string {
  return [id ?? 'an unknown system', version, machine]
    .filter((item) => item !== undefined)
    .join(' ');
}

function listed(paths: readonly string[]): string {
  const more = paths.length - LISTED;
  return `${paths.slice(0, LISTED).join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}
