import { createHash } from 'node:crypto';
import type { PackageDatabase } from '../../evidence/packages/package.js';
import { keyOf } from '../../fs/file-facts.js';
import type { Sysroot } from '../../fs/sysroot.js';
import type { ResolveRequest } from '../../manifest/request.js';
import type { FoundProgram } from '../find-program.js';
import type { KeptFiles } from '../process/kept-files.js';
import { keptResults, withResult } from '../process/kept-results.js';
import { isUnchanged, type SeenFiles, seenBy } from '../process/seen-files.js';
import type { ClosureSoFar } from './closure-so-far.js';
import { mayFollow, type RecordedClosure, type Recording, replay } from './recording.js';

/** Bounds of what is kept for a list of programs: paths looked at, and characters. */
const MAX_PATHS = 16_000;
const MAX_TEXT = 256 << 10;

/** What packages brought besides the files that they added, as data. */
export interface BroughtData {
  readonly warnings: readonly string[];
  readonly gconv: readonly string[];
  readonly locales: readonly string[];
  readonly users: readonly string[];
  /** The packages that were added, `NAME:ARCHITECTURE`. */
  readonly added: readonly string[];
}

/** What packages brought, with everything that it depends on but the programs and the options. */
interface KeptPackages extends BroughtData {
  readonly recording: Recording;
  readonly seen: SeenFiles;
  /** What they only probed for. */
  readonly probed: SeenFiles;
}

/** What earlier runs found that packages bring, valid while nothing has changed that it depends on. */
export class PackageMemory {
  readonly #kept: KeptFiles;
  readonly #request: ResolveRequest;
  readonly #sysroot: Sysroot;

  constructor(kept: KeptFiles, request: ResolveRequest, sysroot: Sysroot) {
    this.#kept = kept;
    this.#request = request;
    this.#sysroot = sysroot;
  }

  /**
   * Adds what packages bring to a closure.
   *
   * @returns undefined if it must be found; 'partly' if some of it was added already
   */
  recall(
    requested: readonly FoundProgram[],
    closure: ClosureSoFar,
  ): BroughtData | 'partly' | undefined {
    const known = this.#all(requested).find(
      ({ recording, seen, probed }) =>
        mayFollow(recording, closure) &&
        isUnchanged(this.#sysroot, seen) &&
        isUnchanged(this.#sysroot.probe, probed),
    );
    if (known === undefined) return undefined;
    return replay(known.recording, closure, this.#sysroot) ? known : 'partly';
  }

  /**
   * Keeps what packages brought, unless something that it depends on may have changed meanwhile.
   *
   * @param part in which they looked for everything
   * @param stamps of the package database, which was read as well
   */
  keep(
    requested: readonly FoundProgram[],
    closure: RecordedClosure,
    part: Sysroot,
    stamps: PackageDatabase['stamps'],
    brought: BroughtData,
  ): void {
    const [first] = requested;
    const seen = stamps && seenBy(part, stamps, this.#kept, MAX_PATHS);
    const probed = seenBy(part.probe, [], this.#kept, MAX_PATHS);
    const recording = closure.recording(part);
    if (first === undefined || recording === undefined) return;
    if (seen === undefined || probed === undefined) return;
    const kept: KeptPackages = { ...brought, recording, seen, probed };
    const { ahead } = this.#sysroot.probe;
    const holds = (other: KeptPackages) =>
      isUnchanged(ahead, other.seen) && isUnchanged(ahead, other.probed);
    const text = withResult(kept, this.#all(requested), holds, MAX_TEXT);
    const name = nameOf(requested, this.#request);
    if (text !== undefined) this.#kept.addPackages(first.trace, name, text);
  }

  /** Returns what is kept for this closure and others: with other files of the user. */
  #all(requested: readonly FoundProgram[]): readonly KeptPackages[] {
    const [first] = requested;
    const name = nameOf(requested, this.#request);
    return keptResults(first === undefined ? undefined : this.#kept.packages(first.trace, name));
  }
}

/** Returns a name for the programs, as they were found, and the options that packages depend on. */
function nameOf(requested: readonly FoundProgram[], request: ResolveRequest): string {
  const { packages, withPackage, packageDepends, packageEssential, packageDocs } = request;
  const programs = requested.map(({ as, trace: { path, links, stat } }) => [
    ...[as, path, keyOf(stat)],
    links.map((link) => [link.path, link.target, link.last]),
  ]);
  const options = [packages, withPackage, packageDepends, packageEssential, packageDocs];
  const text = JSON.stringify([programs, options]);
  return createHash('sha256').update(text).digest('hex').slice(0, 32);
}
