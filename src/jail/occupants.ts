import { readdirSync, readFileSync, statSync } from 'node:fs';
import { errnoOf } from '../errors.js';
import { fromBytes, toBytes } from '../fs/path-bytes.js';

/** A process whose root directory is in the jail. */
export interface Occupant {
  readonly pid: number;
  /** Name of its command. */
  readonly name: string;
}

/**
 * Returns the mount points below a directory in this mount namespace (proc_pid_mountinfo(5)).
 *
 * @param directory its real path
 */
export function mountsBelow(directory: string): string[] {
  return readFileSync('/proc/self/mountinfo', 'latin1')
    .split('\n')
    .map((line) => unescapePath(line.split(' ')[4] ?? ''))
    .filter((point) => point.startsWith(`${directory}/`));
}

/** Decodes blanks and backslashes, which mountinfo writes as octal numbers. */
function unescapePath(text: string): string {
  const bytes = text.replace(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
  return fromBytes(Buffer.from(bytes, 'latin1'));
}

/** Returns the processes, in any mount namespace, whose root is a directory. */
export function processesIn(directory: string): Occupant[] {
  const jail = statSync(toBytes(directory), { bigint: true });
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        const root = statSync(`/proc/${name}/root`, { bigint: true });
        if (root.dev !== jail.dev || root.ino !== jail.ino) return [];
        return [{ pid: Number(name), name: readFileSync(`/proc/${name}/comm`, 'utf8').trim() }];
      } catch (error) {
        // The process has ended or belongs to another user.
        if (errnoOf(error) === undefined) throw error;
        return [];
      }
    });
}
