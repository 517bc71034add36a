import { JailbuildError } from '../errors.js';
import { noHigherThanOwn } from './own-limits.js';
import { parseLimit } from './values.js';

/**
 * Options that a jail's record may set, by name. Root inside the jail may be able to change the record, so these
 * options can only restrict a run, or concern nothing outside the jail.
 */
const RECORDABLE: ReadonlySet<string> = new Set([
  ...['env', 'workdir', 'hostname', 'user', 'umask', 'tmpfs', 'no-tmp'],
  ...['read-only', 'cap-drop'],
  ...['memory', 'pids-limit', 'cpus', 'ulimit', 'monotonic', 'boottime'],
]);

/** Run options from a jail's record. */
export interface RecordedRun {
  /** Values of options of `jailbuild run`, by name. */
  readonly options: Readonly<Record<string, string | boolean | readonly string[]>>;
  readonly command: readonly string[] | undefined;
}

/** Returns whether a jail's record may contain an option of `run`. */
export function isRecordable(option: string): boolean {
  return RECORDABLE.has(option);
}

/**
 * Checks the options for `run` in a jail's record.
 *
 * @param root the jail, for messages
 * @throws JailbuildError RECORD_REFUSED for options that a record may not set
 */
export function checkRecordedRun(
  root: string,
  run: Readonly<Record<string, unknown>> = {},
): RecordedRun {
  const { command, ...values } = run;
  const refuse = (name: string, why: string): never => {
    throw new JailbuildError(
      'RECORD_REFUSED',
      `${root}: run option ${name} in the jail's record ${why}`,
      root,
    );
  };
  const options = Object.entries(values).map(([name, value]) => {
    if (!isRecordable(name)) refuse(name, 'is allowed on the command line only');
    // Only the caller may pass on its own variables.
    if (name === 'env' && isWords(value) && value.some((text) => !text.includes('='))) {
      refuse(name, 'has a variable without a value');
    }
    if (typeof value === 'string' || typeof value === 'boolean') return [name, value] as const;
    if (!isWords(value)) return refuse(name, 'is not text');
    return [name, name === 'ulimit' ? value.map(noHigherLimit) : value] as const;
  });
  if (command !== undefined && !isWords(command))
    return refuse('command', 'is not a list of words');
  return { options: Object.fromEntries(options), command };
}

/** Caps a limit at this process's own: a record may lower limits, but not raise them, which root could. */
function noHigherLimit(text: string): string {
  const { name, soft, hard } = noHigherThanOwn(parseLimit('--ulimit', text));
  return `${name}=${soft}:${hard}`;
}

function isWords(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((word) => typeof word === 'string');
}
