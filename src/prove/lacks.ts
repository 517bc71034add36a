import path from 'node:path';
import { type RunMount, TraceCollector, typeAt } from '../evidence/trace/collect.js';
import type { ObservedCounts, ObservedUse } from '../evidence/trace/report.js';
import type { FileUse, Trace } from '../evidence/trace/trace.js';
import type { FileType } from '../fs/file-view.js';
import { isTrace, type Sysroot } from '../fs/sysroot.js';

/** A file that a program looked for in a jail, that is missing there and exists on the host. */
export interface Lack {
  /** The path as it was looked up. */
  readonly path: string;
  /** The type on the host, after following links. */
  readonly type: FileType;
  /** The programs of the jail that looked for it. */
  readonly by: readonly string[];
  /** Whether a program that looked for it then failed. */
  readonly isFatal: boolean;
  /** Whether only the directory is missing, to create a file in, not its content. */
  readonly isPlace: boolean;
  /** For a listed directory, the names that the host has in it and the jail lacks. */
  readonly unlisted?: readonly string[];
}

/** Uses that create a file, which requires its directory. */
const MAKING: ReadonlySet<FileUse> = new Set([
  ...(['make', 'write', 'overwrite', 'bind', 'rename', 'link'] as const),
]);
/** The number of a program's last failed look-ups that may have caused its failure. */
const LAST_LOOKED = 3;

/** Observes a run in a jail and finds what the jail lacks. */
export class LackFinder {
  readonly #collector: TraceCollector;
  /** The last failed look-ups of each program. */
  readonly #last = new Map<string, string[]>();
  readonly #fatal = new Set<string>();
  readonly #order = new Map<string, number>();

  /**
   * @param root the jail's directory, a real path
   * @param mounts the host's files and directories mounted in it for the run
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
   * Returns the files that were looked for and exist on the host, the likeliest causes of a failure
   * first.
   *
   * @param host the root that the jail's files come from
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

  /** Ranks a lack: later ones are nearer to the failure. */
  #rank({ path: at, isFatal, unlisted }: Lack): number {
    if (unlisted !== undefined) return -1;
    return (this.#order.get(at) ?? 0) + (isFatal ? this.#order.size : 0);
  }
}

/**
 * Returns the names that a directory listing lacks: a program that lists a directory does not look
 * for what is not shown.
 */
function unlistedNames(directory: string, host: Sysroot, jail: Sysroot): string[] {
  const [there, here] = [host.trace(directory), jail.trace(directory)];
  if (!isTrace(there) || !isTrace(here) || there.stat.type !== 'directory') return [];
  const has = new Set(jail.list(here));
  return host.list(there).filter((name) => !has.has(name));
}

/** Returns the directory if the host has it and the jail lacks it. */
function lackingPlace(directory: string, host: Sysroot, jail: Sysroot): string | undefined {
  if (directory === '/' || typeAt(jail, directory) !== undefined) return undefined;
  const found = host.trace(directory);
  return isTrace(found) && found.stat.type === 'directory' ? directory : undefined;
}
