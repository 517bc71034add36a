import { JailbuildError } from '../errors.js';
import type { ObservedCounts } from '../evidence/trace/report.js';
import { type Advice, adviceLine } from '../manifest/advice.js';
import type { Manifest } from '../manifest/manifest.js';
import { describeMissing } from '../manifest/missing.js';
import { annotation } from './output/annotations.js';
import { jsonLine } from './output/json.js';
import { writeErr, writeOut } from './output/output.js';
import { printable } from './output/text.js';

/** The maximum length of a message in characters, and how many of them are kept from its end. */
const LONGEST = 4000;
const END = 1000;

/** Warnings of one kind up to this number are all shown. */
const FOLDED_FROM = 4;

let annotates = false;

/** Also prints warnings and errors as annotations of GitHub Actions. */
export function annotateMessages(): void {
  annotates = true;
}

/**
 * Reports an error: one line on stderr, and with `--json` the same as JSON on stdout. Anything but a
 * JailbuildError is a defect of jailbuild and shows its stack.
 */
export function reportError(error: unknown, json: boolean): void {
  const known = error instanceof JailbuildError;
  const message = error instanceof Error ? error.message : String(error);
  if (json) {
    const code = known ? error.code : 'INTERNAL';
    const path = known ? error.path : undefined;
    tryToWrite(jsonLine({ status: 'failed', error: { code, message, path } }));
  }
  if (annotates) writeErr(annotation('error', known ? error.code : 'INTERNAL', printable(message)));
  if (known) {
    writeErr(`jailbuild: ${bounded(printable(message))}\n`);
    return;
  }
  const stack = error instanceof Error ? (error.stack ?? message) : message;
  writeErr(`jailbuild: this is a defect, please report it\n${stack}\n`);
}

/** Shortens a message for terminals and logs: names from files can have any length. */
function bounded(text: string): string {
  return text.length <= LONGEST ? text : `${text.slice(0, LONGEST - END)} … ${text.slice(-END)}`;
}

/** Ignores failures: that standard output is closed may be the error itself. */
function tryToWrite(text: string): void {
  try {
    writeOut(text);
  } catch (error) {
    if (!(error instanceof JailbuildError)) throw error;
  }
}

export function reportHint(message: string): void {
  writeErr(`jailbuild: hint: ${bounded(printable(message))}\n`);
}

/** The number of hints that a build shows. */
const MAX_ADVICE = 5;

/** Prints hints of what programs may lack: the likeliest few, or all. */
export function reportAdvice(advice: readonly Advice[], all: boolean): void {
  const shown = all ? advice : advice.slice(0, MAX_ADVICE);
  for (const item of shown) writeErr(`jailbuild: advice: ${printable(adviceLine(item))}\n`);
  const more = advice.length - shown.length;
  if (more > 0) writeErr(`jailbuild: advice: ${more} more: --verbose\n`);
}

export function warn(message: string): void {
  if (annotates) writeErr(annotation('warning', 'jailbuild', printable(message)));
  writeErr(`jailbuild: warning: ${bounded(printable(message))}\n`);
}

/** Prints the warnings of a plan, and those of writing it. */
export function reportWarnings(
  manifest: Pick<Manifest, 'missing' | 'warnings'>,
  notes: readonly string[] = [],
): void {
  for (const library of manifest.missing) warn(describeMissing(library));
  for (const warning of folded([...manifest.warnings, ...notes])) warn(warning);
}

/** Prints only the first of many equal warnings; the manifest has all. */
export function folded(warnings: readonly string[]): string[] {
  const groups = new Map<string, string[]>();
  for (const warning of warnings) {
    const what = /^\/.*?(: .*)$/s.exec(warning)?.[1] ?? warning;
    groups.set(what, [...(groups.get(what) ?? []), warning]);
  }
  return [...groups.values()].flatMap((group) =>
    group.length < FOLDED_FROM ? group : [`${group[0]} (and ${group.length - 1} files more)`],
  );
}

/** Warns about what could not be observed. */
export function reportLimits({ tracers, listeners }: ObservedCounts, mechanism?: string): void {
  if (tracers > 0 && mechanism !== 'notify') {
    warn('the command traces processes, which fails under observation: use --mechanism notify');
  }
  if (listeners > 0) {
    warn('a program listens for system calls of others: what it sees is missing from the trace');
  }
}
