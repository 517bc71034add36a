import { existsSync } from 'node:fs';
import path from 'node:path';
import { JailbuildError } from '../../errors.js';
import type { JailFile } from '../../profile/jail-file.js';
import type { OptionValue, OptionValues } from '../../profile/option-values.js';
import type { Arguments, OptionTable } from '../command.js';

/** The jail file that is used by default, in the working directory. */
export const JAIL_FILE_NAME = 'jail.yaml';

/**
 * Returns the jail file of a command line: the one that it names, or jail.yaml of the working directory
 * if nothing else says what to build.
 *
 * @param named the value of `--file`
 */
export function findJailFile(named?: string, root?: string): string | undefined {
  if (named !== undefined || root !== undefined) return named;
  return existsSync(JAIL_FILE_NAME) ? JAIL_FILE_NAME : undefined;
}

/**
 * Merges the options of a file with those of the command line: lists are appended, other values of the
 * command line override the file.
 */
export function withFileOptions<A extends object>(
  args: A,
  values: OptionValues,
  table: OptionTable,
): A {
  const merged = { ...args } as Record<string, unknown>;
  for (const [name, value] of Object.entries(values)) {
    const given = merged[name];
    if (table[name]?.array) merged[name] = [...list(value), ...((given as string[]) ?? [])];
    else merged[name] = given ?? (typeof value === 'object' ? value.join(',') : value);
  }
  return merged as A;
}

/** Calls a function whose errors name the places of values of a jail file. */
export function placed<T>(file: JailFile | undefined, make: () => T): T {
  try {
    return make();
  } catch (error) {
    throw file === undefined ? error : placedError(error, file);
  }
}

/**
 * Names the place of a value in a jail file in an error of an option.
 *
 * @param section the key of a map of options; undefined for those at the top
 * @returns the error as it is if the file does not have the option with this value
 */
export function placedError(error: unknown, file: JailFile, section?: 'run'): unknown {
  if (!(error instanceof JailbuildError) || error.code !== 'USAGE') return error;
  const [, name = '', problem = ''] = /^--([a-z0-9-]+) (.*)$/s.exec(error.message) ?? [];
  const options = section === undefined ? file.options : file[section].options;
  const value = options[name];
  if (value === undefined) return error;
  const index = list(value).findIndex((item) =>
    [item, JSON.stringify(item)].some((shown) => problem.startsWith(shown)),
  );
  if (index < 0) return error;
  const where = section === undefined ? [name] : [section, name];
  const at = file.placeOf(typeof value === 'object' ? [...where, String(index)] : where);
  const message = `${at}: ${where.join('.')} ${problem}`;
  return new JailbuildError('JAIL_FILE_INVALID', message, file.path);
}

function list(value: OptionValue): readonly string[] {
  return typeof value === 'object' ? value : [String(value)];
}

/** Returns the values of a command line without options. */
export function withDefaults<O extends OptionTable>(table: O): Arguments<object, O> {
  const defaults = Object.entries(table).map(([name, option]) => [name, option.default]);
  return Object.fromEntries(defaults) as Arguments<object, O>;
}

/**
 * Returns the directory of the jail.
 *
 * @param file the jail file that was read
 * @throws JailbuildError USAGE
 */
export function targetOf(root: string | undefined, file?: string): string {
  if (root !== undefined) return path.resolve(root);
  throw new JailbuildError(
    'USAGE',
    file === undefined
      ? 'name a directory for the jail, and programs; `jailbuild init` writes a jail file to begin with'
      : `${file}: has no root, and none is named: say where the jail is to be`,
    file,
  );
}
