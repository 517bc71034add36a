import path from 'node:path';
import { type RunMount, TraceCollector, typeAt } from '../evidence/trace/collect.js';
import type { ObservedCounts, ObservedUse } from '../evidence/trace/report.js';
import type { FileUse, Trace } from '../evidence/trace/trace.js';
import type { FileType } from '../fs/file-view.js';
import { isTrace, type Sysroot } from '../fs/sysroot.js';

/** Something that a program looked for in a jail, that is not there, and that the host has. */
export interface Lack {
  /** As it was looked up. */
  readonly path: string;
  /** What the host has there, behind links. */
  readonly type: FileType;
  /** Programs of the jail that looked for it. */
  readonly by: readonly string[];
  /** A program that looked for it failed right after that. */
  readonly isFatal: boolean;
  /** Only a place to make something in is lacking, not what the host has in it. */
  readonly isPlace: boolean;
  /** Of a directory that was listed, what the host has in it and the jail has not. */
  readonly unlisted?: readonly string[];
}

/** Uses that make something, for which a directory must be there. */
const MAKING: ReadonlySet<FileUse> = new Set([
  ...(['make', 'write', 'overwrite', 'bind', 'rename', 'link'] as const),
]);
/** The last things that a program looked for in vain before it failed are told first. */
const LAST_LOOKED = 3;

/** Observes a run in a jail for what it lacks. */
export class LackFinder {
  readonly #collector: TraceCollector;
  /** By program, what it looked for in vain last. */
  readonly #last = new Map<string, string[]>();
  readonly #fatal = new Set<string>();
  readonly #order = new Map<string, number>();

  /**
   * @param root the jail's directory, a real path
   * @param mounts what of the host is mounted in it for the run
   */
  constructor(root: string, mounts: readonly RunMount[]) {
    this.#collector = new TraceCollector(root, mounts);
  }

  add(use: ObservedUse): void {
    if (use.use === 'end') {
      for (const at of this.#last.get(use.program) ?? []) this.#fatal.add(at);
      return;
    }
    this.#collector.add(use);
    if (use.result !== 'absent') return;
    this.#order.set(use.path, this.#order.size);
    const last = [...(this.#last.get(use.program) ?? []), use.path];
    this.#last.set(use.program, last.slice(-LAST_LOOKED));
  }

  /**
   * What was looked for and is there on the host, the likeliest causes of a failure first.
   *
   * @param host where the jail's files are from
   * @param jail the jail itself
   */
  finish(
    counts: ObservedCounts,
    host: Sysroot,
    jail: Sysroot,
  ): { readonly trace: Trace; readonly lacks: readonly Lack[] } {
    const trace = this.#collector.finish(counts, undefined);
    const lacks = new Map<string, Lack>();
    for (const { path: at, state, uses } of this.#collector.files(jail)) {
      const by = Object.keys(uses).filter((program) => program !== '');
      if (state === 'found' && Object.values(uses).flat().includes('list')) {
        const unlisted = unlistedNames(at, host, jail);
        const [isFatal, isPlace] = [false, false];
        if (unlisted.length > 0)
          lacks.set(at, { path: at, type: 'directory', by, isFatal, isPlace, unlisted });
      }
      if (state !== 'absent') continue;
      const isFatal = this.#fatal.has(at);
      const found = host.trace(at);
      if (isTrace(found) && found.path !== '/') {
        lacks.set(at, { path: at, type: found.stat.type, by, isFatal, isPlace: false });
        continue;
      }
      const place = Object.values(uses)
        .flat()
        .some((use) => MAKING.has(use))
        ? lackingPlace(path.posix.dirname(at), host, jail)
        : undefined;
      if (place !== undefined && !lacks.has(place)) {
        lacks.set(place, { path: place, type: 'directory', by, isFatal, isPlace: true });
      }
    }
    return { trace, lacks: [...lacks.values()].sort((a, b) => this.#rank(b) - this.#rank(a)) };
  }

  /** Later ones are nearer to what went wrong in the end. */
  #rank({ path: at, isFatal, unlisted }: Lack): number {
    if (unlisted !== undefined) return -1;
    return (this.#order.get(at) ?? 0) + (isFatal ? this.#order.size : 0);
  }
}

/** Programs that list a directory look for nothing that it does not show. */
function unlistedNames(directory: string, host: Sysroot, jail: Sysroot): string[] {
  const [there, here] = [host.trace(directory), jail.trace(directory)];
  if (!isTrace(there) || !isTrace(here) || there.stat.type !== 'directory') return [];
  const has = new Set(jail.list(here));
  return host.list(there).filter((name) => !has.has(name));
}

/** The directory, if the host has it and the jail has not. */
function lackingPlace(directory: string, host: Sysroot, jail: Sysroot): string | undefined {
  if (directory === '/' || typeAt(jail, directory) !== undefined) return undefined;
  const found = host.trace(directory);
  return isTrace(found) && found.stat.type === 'directory' ? directory : undefined;
}
