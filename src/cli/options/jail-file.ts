import { existsSync } from 'node:fs';
import path from 'node:path';
import { JailbuildError } from '../../errors.js';
import type { OptionValue, OptionValues } from '../../profile/jail-file.js';
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
