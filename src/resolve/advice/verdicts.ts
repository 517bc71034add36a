import { createHash } from 'node:crypto';
import type { Sysroot } from '../../fs/sysroot.js';
import type { FoundProgram } from '../find-program.js';
import type { KeptFiles } from '../process/kept-files.js';
import { keptResults, withResult } from '../process/kept-results.js';
import { isUnchanged, type SeenFiles, seenBy } from '../process/seen-files.js';
import type { AskedJail, JailContents } from './jail-contents.js';
import type { Weighed } from './script-advice.js';

/** Bounds of what is kept for a program: paths looked at, and characters. */
const MAX_PATHS = 2_000;
const MAX_TEXT = 64 << 10;

/** Advice on a program, with everything that it depends on but the program itself. */
interface Verdict extends SeenFiles {
  readonly advice: readonly Weighed[];
  /** Questions about the jail, and the answers. */
  readonly asked: Readonly<Record<string, string>>;
}

/** Keeps the advice of this run for later ones. */
export type AdviceStore = Pick<KeptFiles, 'advice' | 'addAdvice' | 'isSettled'>;

/** Advice on a program as it was found. */
interface Found {
  readonly advice: readonly Weighed[];
  /** Everything that was looked up for it. */
  readonly part: Sysroot;
  readonly jail: AskedJail;
  /** As in `PackageDatabase`. */
  readonly stamps: readonly string[];
}

/** The advice of earlier runs, valid while neither the host nor the jail differs in what it depends on. */
export class Verdicts {
  readonly #kept: AdviceStore;
  readonly #probe: Sysroot;
  readonly #contents: JailContents;

  constructor(kept: AdviceStore, probe: Sysroot, contents: JailContents) {
    this.#kept = kept;
    this.#probe = probe;
    this.#contents = contents;
  }

  /** Returns the advice on a program; undefined if it must be found. */
  recall(program: FoundProgram): readonly Weighed[] | undefined {
    const verdict = this.#verdictsOn(program).find(({ asked }) => this.#isAnswered(asked));
    if (verdict === undefined) return undefined;
    return isUnchanged(this.#probe, verdict) ? verdict.advice : undefined;
  }

  /** Keeps the advice on a program, unless something that it depends on may have changed meanwhile. */
  keep(program: FoundProgram, { part, jail, stamps, advice }: Found): void {
    const seen = seenBy(part, stamps, this.#kept, MAX_PATHS);
    if (seen === undefined) return;
    const asked = Object.fromEntries(jail.asked);
    const verdict: Verdict = { advice, asked, ...seen };
    const { ahead } = this.#probe;
    const holds = (other: Verdict) => isUnchanged(ahead, other);
    const text = withResult(verdict, this.#verdictsOn(program), holds, MAX_TEXT);
    if (text !== undefined) this.#kept.addAdvice(program.trace, nameOf(program), text);
  }

  /** Returns what is kept for this jail and others: with the program's package, without, beside others. */
  #verdictsOn(program: FoundProgram): readonly Verdict[] {
    return keptResults(this.#kept.advice(program.trace, nameOf(program)));
  }

  /** Returns whether this jail gives the same answers. */
  #isAnswered(asked: Verdict['asked']): boolean {
    return Object.entries(asked).every(
      ([question, answer]) => this.#contents.answer(question) === answer,
    );
  }
}

/** Returns a name for how a program was found: advice depends on its names, and on the owners of links. */
function nameOf({ as, trace }: FoundProgram): string {
  const links = trace.links.map(({ path, last }) => `${path}${last ? '' : '/'}`);
  const text = [as, trace.path, ...links].join('\0');
  return createHash('sha256').update(text).digest('hex').slice(0, 32);
}
