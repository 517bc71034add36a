import { createHash } from 'node:crypto';
import { deflateRawSync, inflateRawSync } from 'node:zlib';
import { errnoOf } from '../../errors.js';
import { keyOf } from '../../fs/file-facts.js';
import type { FileStat } from '../../fs/file-view.js';
import type { Sysroot } from '../../fs/sysroot.js';
import type { FoundProgram } from '../find-program.js';
import type { KeptFiles } from '../process/kept-files.js';
import type { AskedJail, JailContents } from './jail-contents.js';
import type { Weighed } from './script-advice.js';

/** Bounds of what is kept for a program: paths looked at, and characters. */
const MAX_PATHS = 2_000;
const MAX_TEXT = 64 << 10;
/** Shorter texts, in characters, are faster to read as they are. */
const MIN_PACKED = 6_000;
/** For how many jails the advice on a program is kept: with its package, without, beside others. */
const MAX_JAILS = 3;

/** Advice on a program, with everything that it depends on but the program itself. */
interface Verdict {
  readonly advice: readonly Weighed[];
  /** Questions about the jail, and the answers. */
  readonly asked: Readonly<Record<string, string>>;
  /** What was looked up on the host, without links on the way. */
  readonly paths: readonly string[];
  /** Of the package database, which was read as well. */
  readonly stamps: readonly string[];
  /** Directories whose names were read. */
  readonly lists: readonly string[];
  /** Of the attributes of these paths, and the names in these directories. */
  readonly digest: string;
}

type Seen = Pick<Verdict, 'paths' | 'stamps' | 'lists'>;

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
    return digestOf(this.#probe, verdict) === verdict.digest ? verdict.advice : undefined;
  }

  /** Keeps the advice on a program, unless something that it depends on may have changed meanwhile. */
  keep(program: FoundProgram, { part, jail, stamps, advice }: Found): void {
    const observed = part.observed();
    if (observed === undefined) return;
    const { found, absent, lists } = observed;
    for (const [path, stat] of found) {
      const isCompared = stat.type !== 'directory' || stamps.includes(path);
      if (isCompared && !this.#kept.isSettled(stat)) return;
    }
    const seen = { paths: [...found.keys(), ...absent], stamps, lists: [...lists.keys()] };
    const digest = digestOf(part, seen);
    if (digest === undefined || seen.paths.length > MAX_PATHS) return;
    const asked = Object.fromEntries(jail.asked);
    const verdict: Verdict = { advice, asked, ...seen, digest };
    const others = this.#verdictsOn(program).filter((other) => !this.#isAnswered(other.asked));
    const all = [verdict, ...others].slice(0, MAX_JAILS);
    const text = packed(JSON.stringify(all));
    if (text.length <= MAX_TEXT) this.#kept.addAdvice(program.trace, nameOf(program), text);
  }

  /** Returns what is kept, the latest first. */
  #verdictsOn(program: FoundProgram): readonly Verdict[] {
    const text = this.#kept.advice(program.trace, nameOf(program));
    return text === undefined ? [] : JSON.parse(unpacked(text));
  }

  /** Returns whether this jail gives the same answers. */
  #isAnswered(asked: Verdict['asked']): boolean {
    return Object.entries(asked).every(
      ([question, answer]) => this.#contents.answer(question) === answer,
    );
  }
}

function packed(json: string): string {
  return json.length < MIN_PACKED ? json : deflateRawSync(json).toString('base64');
}

/** An array in JSON begins with what is not a character of base64. */
function unpacked(text: string): string {
  return text.startsWith('[') ? text : inflateRawSync(Buffer.from(text, 'base64')).toString();
}

/** Returns a name for how a program was found: advice depends on its names, and on the owners of links. */
function nameOf({ as, trace }: FoundProgram): string {
  const links = trace.links.map(({ path, last }) => `${path}${last ? '' : '/'}`);
  const text = [as, trace.path, ...links].join('\0');
  return createHash('sha256').update(text).digest('hex').slice(0, 32);
}

/** @returns undefined if something cannot be inspected */
function digestOf(sysroot: Sysroot, { paths, stamps, lists }: Seen): string | undefined {
  const hash = createHash('sha256');
  try {
    for (const path of paths) hash.update(`${permissionsOrStamp(sysroot.lstat(path))}\n`);
    for (const path of stamps) hash.update(`${stampOf(sysroot.lstat(path))}\n`);
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return undefined;
  }
  for (const path of lists) hash.update(`${sysroot.names(path).join('\0')}\n`);
  return hash.digest('hex').slice(0, 32);
}

/** Of a directory, what was looked up in it is compared by itself. */
function permissionsOrStamp(stat: FileStat | undefined): string {
  return stat?.type === 'directory' ? `${stat.mode} ${stat.uid} ${stat.gid}` : stampOf(stat);
}

/** Nothing is kept that depends on a file whose change time is unknown: see {@link Verdicts.keep}. */
function stampOf(stat: FileStat | undefined): string {
  return stat === undefined ? '-' : (keyOf(stat) ?? '?');
}
