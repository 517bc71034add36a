import { readFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import path from 'node:path';
import { fromBytes } from './path-bytes.js';

/** The character Node substitutes for bytes that are not UTF-8. */
const REPLACEMENT = '\ufffd';

type Variable = readonly [name: string, value: string];

/**
 * Returns a variable of this process. Bytes that are not UTF-8, which process.env replaces, are escaped as in paths.
 */
export function ownVariable(name: string): string | undefined {
  const value = process.env[name];
  if (name.isWellFormed() && !value?.includes(REPLACEMENT)) return value;
  return unchangedVariables().find(([own]) => own === name)?.[1] ?? value;
}

/** Returns all variables of this process; names and values are as of `ownVariable`. */
export function ownEnvironment(): Readonly<Record<string, string>> {
  const names = Reflect.ownKeys(process.env).map(String);
  const variables = names.flatMap((name): Variable[] => {
    const value = process.env[name];
    // Node lists variables whose names are not text, but does not find them.
    return value === undefined ? [] : [[name, value]];
  });
  const areText = variables.every(([, value]) => !value.includes(REPLACEMENT));
  if (areText && variables.length === names.length) return Object.fromEntries(variables);
  return Object.fromEntries([...variables, ...unchangedVariables()]);
}

/**
 * Returns the absolute path of the home directory of this process's user: HOME, otherwise that of the user's entry in
 * passwd(5). Without either it is `/`, as container engines set HOME then.
 */
export function ownHome(): string {
  const given = ownVariable('HOME');
  if (given?.startsWith('/')) return given;
  try {
    const home = fromBytes(userInfo({ encoding: 'buffer' }).homedir);
    return home.startsWith('/') ? home : '/';
  } catch {
    return '/';
  }
}

/**
 * Returns the absolute path of a directory for temporary files: TMPDIR, TMP or TEMP, otherwise /tmp, as os.tmpdir() of
 * Node does for paths that are text.
 */
export function ownTemporaryDirectory(): string {
  const given = ['TMPDIR', 'TMP', 'TEMP'].map(ownVariable).find(Boolean);
  return path.resolve(given ?? '/tmp');
}

/** Returns the variables with which this process was started (proc_pid_environ(5)) and which it has not changed. */
function unchangedVariables(): readonly Variable[] {
  let bytes: Buffer;
  try {
    bytes = readFileSync('/proc/self/environ');
  } catch {
    // Without /proc, only what Node decoded is known.
    return [];
  }
  const variables: Variable[] = [];
  for (let at = 0; at < bytes.length; ) {
    const end = bytes.indexOf(0, at);
    const variable = bytes.subarray(at, end < 0 ? bytes.length : end);
    at += variable.length + 1;
    const cut = variable.indexOf('=');
    if (cut <= 0) continue;
    const [name, value] = [variable.subarray(0, cut), variable.subarray(cut + 1)];
    const own = fromBytes(name);
    // Node neither finds nor changes variables whose names are not text.
    if (own.isWellFormed() && process.env[own] !== value.toString()) continue;
    variables.push([own, fromBytes(value)]);
  }
  return variables;
}
