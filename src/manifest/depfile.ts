/**
 * Matches names that GNU make or ninja cannot read. To make, `;` begins a recipe, `*` and `?` are
 * patterns and `lib(member)` is a member of an archive. ninja ends a name at any character not
 * listed in its src/depfile_parser.in.cc.
 */
const UNWRITABLE = /[^\w+,/:.~(){}%=@[\]!\u{80}-\u{10ffff}# $-]|\(.*\)$/u;

/** A rule in make syntax, and the names that it cannot contain. */
export interface Depfile {
  readonly text: string;
  /** Omitted prerequisites. */
  readonly unwritable: readonly string[];
}

/**
 * Returns a rule without a recipe that declares what a target depends on, escaped so that GNU make
 * (manual, "Rule Syntax") and ninja (src/depfile_parser.in.cc) read the same names. Each
 * prerequisite is also a target without prerequisites, so that removing it rebuilds the target
 * instead of failing, as with -MP of gcc(1).
 */
export function depfile(target: string, prerequisites: Iterable<string>): Depfile {
  const all = [...new Set(prerequisites)].sort();
  const written = all.filter((name) => !UNWRITABLE.test(name));
  // make reads `TARGET: A=B` as a variable if it comes first.
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

/** Returns whether a name can be the target of a rule. */
export function isTargetName(name: string): boolean {
  return name !== '' && !UNWRITABLE.test(name) && !name.includes('=');
}

function escaped(name: string): string {
  return name.replaceAll('$', '$$$$').replace(/[ #:]/g, '\\$&');
}
