import { JailbuildError } from '../errors.js';
import { noHigherThanOwn } from './own-limits.js';
import { parseLimit } from './values.js';

/**
 * What the record of a jail may ask for, by names of options. It lies within reach of what runs there
 * as root, and so can only make a run smaller, or choose what is the jail's own affair.
 */
const RECORDABLE: ReadonlySet<string> = new Set([
  ...['env', 'workdir', 'hostname', 'user', 'umask', 'tmpfs', 'no-tmp'],
  ...['read-only', 'cap-drop'],
  ...['memory', 'pids-limit', 'cpus', 'ulimit', 'monotonic', 'boottime'],
]);

/** How a jail's record has its programs run. */
export interface RecordedRun {
  /** Values of options of `jailbuild run`, by name. */
  readonly options: Readonly<Record<string, string | boolean | readonly string[]>>;
  readonly command: readonly string[] | undefined;
}

/** True if a jail's record may keep an option of `run`. */
export function isRecordable(option: string): boolean {
  return RECORDABLE.has(option);
}

/**
 * Checks what a jail's record has for `run`.
 *
 * @param root the jail, for messages
 * @throws JailbuildError RECORD_REFUSED if it asks for more than a record may
 */
export function checkRecordedRun(
  root: string,
  run: Readonly<Record<string, unknown>> = {},
): RecordedRun {
  const { command, ...values } = run;
  const refuse = (name: string, why: string): never => {
    throw new JailbuildError(
      'RECORD_REFUSED',
      `${root}: in the record of the jail, ${name} of run ${why}`,
      root,
    );
  };
  const options = Object.entries(values).map(([name, value]) => {
    if (!isRecordable(name)) refuse(name, 'is for the command line alone');
    // A variable of the caller's is for the caller to give.
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

/** A record may lower the limits of a process, and not raise them, which root can. */
function noHigherLimit(text: string): string {
  const { name, soft, hard } = noHigherThanOwn(parseLimit('--ulimit', text));
  return `${name}=${soft}:${hard}`;
}

function isWords(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((word) => typeof word === 'string');
}
