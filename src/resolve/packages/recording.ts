import type { DataStrings } from '../../elf/path-strings.js';
import type { ElfFile } from '../../elf/types.js';
import { isTrace, type Sysroot, type Trace } from '../../fs/sysroot.js';
import type { Reason } from '../../manifest/manifest.js';
import type { RunKind } from '../file-collection.js';
import type { ReadFile } from '../originals.js';
import type { ClosureSoFar } from './closure-so-far.js';

/** A question about the closure, and its answer. */
interface Asked {
  readonly ask: string;
  readonly answer: string;
}

/** An addition to the closure. */
interface Added {
  /** The path that was looked up. */
  readonly add: string;
  readonly how: 'file' | 'runnable' | 'command' | 'program';
  readonly reason?: Reason;
  /** Interpreters that were decided on, by path. */
  readonly wanted?: Readonly<Record<string, boolean>>;
}

/**
 * What packages asked about a closure and added to it, in this order: with the same host and the same answers, they
 * would add the same again.
 */
export type Recording = readonly (Asked | Added)[];

const [YES, NO] = ['1', '0'] as const;
/** Separates parts of questions and answers; no path contains it. */
const SEPARATOR = '\0';

/** Returns the answer to a question of a recording. */
function answerTo(question: string, closure: ClosureSoFar): string {
  const cut = question.indexOf(' ');
  const about = question.slice(cut + 1);
  switch (question.slice(0, cut)) {
    case 'has':
      return closure.has(about) ? YES : NO;
    case 'user':
      return closure.hasUser(about) ? YES : NO;
    case 'shell':
      return closure.isShellScript(about) ? YES : NO;
    case 'read':
      return kindOf(closure.read(about));
    case 'reason':
      return closure.withReason(...(about.split(SEPARATOR) as Reason['kind'][])).join(SEPARATOR);
    default: {
      const [script = '', ...kinds] = about.split(SEPARATOR);
      return closure.runBy(script, ...(kinds as RunKind[])).join(SEPARATOR);
    }
  }
}

/** What was read of a file depends on the file alone, if it was read at all. */
function kindOf({ elf, facts, isElf }: ReadFile): string {
  return `${elf === undefined ? NO : YES}${facts === undefined ? NO : YES}${isElf}`;
}

interface NewAddition extends Omit<Added, 'add'> {
  readonly trace: Trace;
}

/** A closure of which everything is recorded that is asked about it and added to it. */
export class RecordedClosure implements ClosureSoFar {
  readonly #closure: ClosureSoFar;
  readonly #events: (Asked | NewAddition)[] = [];
  /** Questions since the last addition; only another one changes an answer. */
  readonly #asked = new Map<string, string>();

  constructor(closure: ClosureSoFar) {
    this.#closure = closure;
  }

  has(path: string): boolean {
    return this.#ask(`has ${path}`) === YES;
  }

  hasUser(name: string): boolean {
    return this.#ask(`user ${name}`) === YES;
  }

  withReason(...kinds: readonly Reason['kind'][]): string[] {
    return pathsOf(this.#ask(`reason ${kinds.join(SEPARATOR)}`));
  }

  runBy(script: string, ...kinds: readonly RunKind[]): string[] {
    return pathsOf(this.#ask(`runs ${[script, ...kinds].join(SEPARATOR)}`));
  }

  isShellScript(path: string): boolean {
    return this.#ask(`shell ${path}`) === YES;
  }

  read(identity: string): ReadFile {
    this.#ask(`read ${identity}`);
    return this.#closure.read(identity);
  }

  /** Depends on the file alone. */
  stringsOf(root: Sysroot, file: Trace, elf: ElfFile): DataStrings {
    return this.#closure.stringsOf(root, file, elf);
  }

  /** Depends on the file alone. */
  namesIn(root: Sysroot, file: Trace, elf: ElfFile): (name: string) => boolean {
    return this.#closure.namesIn(root, file, elf);
  }

  add(trace: Trace, reason: Reason): void {
    this.#closure.add(trace, reason);
    this.#note({ trace, how: 'file', reason });
  }

  addRunnable(trace: Trace, isWanted: (interpreter: Trace) => boolean): void {
    const wanted: Record<string, boolean> = {};
    this.#closure.addRunnable(trace, (interpreter) => {
      const is = isWanted(interpreter);
      wanted[interpreter.path] = is;
      return is;
    });
    this.#note({ trace, how: 'runnable', wanted });
  }

  addCommand(trace: Trace, reason: Reason): void {
    this.#closure.addCommand(trace, reason);
    this.#note({ trace, how: 'command', reason });
  }

  addProgram(trace: Trace, reason: Reason): void {
    this.#closure.addProgram(trace, reason);
    this.#note({ trace, how: 'program', reason });
  }

  /**
   * Returns the recording so far.
   *
   * @param sysroot in which everything was looked up that was added
   * @returns undefined if something was found by an unknown look-up
   */
  recording(sysroot: Sysroot): Recording | undefined {
    const names = new Map<Trace, string>();
    for (const root of [sysroot, sysroot.probe]) {
      for (const [name, found] of root.traced()) names.set(found, name);
    }
    const recording: (Asked | Added)[] = [];
    for (const event of this.#events) {
      if ('ask' in event) {
        recording.push(event);
        continue;
      }
      const { trace, ...others } = event;
      const isPlain = trace.links.length === 0 && trace.left.length === 0;
      const add = names.get(trace) ?? (isPlain ? trace.path : undefined);
      if (add === undefined) return undefined;
      recording.push({ add, ...others });
    }
    return recording;
  }

  #ask(question: string): string {
    let answer = this.#asked.get(question);
    if (answer === undefined) {
      answer = answerTo(question, this.#closure);
      this.#asked.set(question, answer);
      this.#events.push({ ask: question, answer });
    }
    return answer;
  }

  #note(addition: NewAddition): void {
    this.#events.push(addition);
    this.#asked.clear();
  }
}

/**
 * Returns whether a closure may give the answers of a recording. What it has already, it still has after additions;
 * the first questions are asked before anything is added.
 */
export function mayFollow(recording: Recording, closure: ClosureSoFar): boolean {
  let isFirst = true;
  return recording.every((event) => {
    if (!('ask' in event)) {
      isFirst = false;
      return true;
    }
    const isAbsent = event.ask.startsWith('has ') && event.answer === NO;
    return !(isFirst || isAbsent) || answerTo(event.ask, closure) === event.answer;
  });
}

/**
 * Adds what a recording adds, unless an answer differs: then everything so far is what the packages add, too.
 *
 * @returns whether all of it was added
 */
export function replay(recording: Recording, closure: ClosureSoFar, sysroot: Sysroot): boolean {
  for (const event of recording) {
    if ('ask' in event) {
      if (answerTo(event.ask, closure) !== event.answer) return false;
      continue;
    }
    const trace = sysroot.trace(event.add);
    if (!isTrace(trace) || !addAgain(event, trace, closure)) return false;
  }
  return true;
}

/** @returns false if an interpreter was not decided on */
function addAgain({ how, reason, wanted }: Added, trace: Trace, closure: ClosureSoFar): boolean {
  if (how === 'runnable') {
    let isKnown = true;
    closure.addRunnable(trace, ({ path }) => {
      isKnown &&= wanted?.[path] !== undefined;
      return wanted?.[path] ?? false;
    });
    return isKnown;
  }
  if (reason === undefined) return false;
  if (how === 'file') closure.add(trace, reason);
  else if (how === 'command') closure.addCommand(trace, reason);
  else closure.addProgram(trace, reason);
  return true;
}

function pathsOf(answer: string): string[] {
  return answer === '' ? [] : answer.split(SEPARATOR);
}
