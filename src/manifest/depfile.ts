/**
 * What GNU make or ninja cannot read in a name: make takes `;` for the beginning of a recipe, `*` and `?` for
 * patterns and `lib(member)` for a member of an archive, and ninja ends a name at whatever is not in the list of its src/depfile_parser.in.cc.
 */
const UNWRITABLE = /[^\w+,/:.~(){}%=@[\]!\u{80}-\u{10ffff}# $-]|\(.*\)$/u;

/** A rule in the syntax of make, and the names that it cannot have. */
export interface Depfile {
  readonly text: string;
  /** Prerequisites that are left out. */
  readonly unwritable: readonly string[];
}

/**
 * Returns a rule without a recipe, which says what a target depends on, escaped such that GNU make (manual,
 * "Rule Syntax") and ninja (src/depfile_parser.in.cc) read the same names. Each prerequisite is a target
 * without prerequisites too, so that one that is removed means making again, not an error, as with -MP of
 * gcc(1).
 */
export function depfile(target: string, prerequisites: Iterable<string>): Depfile {
  const all = [...new Set(prerequisites)].sort();
  const written = all.filter((name) => !UNWRITABLE.test(name));
  // Make takes `TARGET: A=B` for a variable, where it comes first.
  const sorted = [
    ...written.filter((name) => !name.includes('=')),
    ...written.filter((name) => name.includes('=')),
  ];
  const rule = [`${escaped(target)}:`, ...sorted.map(escaped)].join(' \\\n  ');
  const phony = sorted.filter((name) => !name.includes('=')).map((name) => `${escaped(name)}:\n`);
  return {
    text: `${rule}\n\n${phony.join('')}`,
    unwritable: all.filter((name) => UNWRITABLE.test(name)),
  };
}

/** Whether a name can be the target of a rule. */
export function isTargetName(name: string): boolean {
  return name !== '' && !UNWRITABLE.test(name) && !name.includes('=');
}

function escaped(name: string): string {
  return name.replaceAll('$', '$$$$').replace(/[ #:]/g, '\\$&');
}
