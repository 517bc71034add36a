import { readdirSync, readFileSync, statSync } from 'node:fs';
import { errnoOf } from '../errors.js';
import { fromBytes, toBytes } from '../fs/path-bytes.js';

/** A process whose root directory is the jail. */
export interface Occupant {
  readonly pid: number;
  /** Its command's name. */
  readonly name: string;
}

/**
 * What is mounted below a directory, in this mount namespace (proc_pid_mountinfo(5)).
 *
 * @param directory its real path
 */
export function mountsBelow(directory: string): string[] {
  return readFileSync('/proc/self/mountinfo', 'latin1')
    .split('\n')
    .map((line) => unescapePath(line.split(' ')[4] ?? ''))
    .filter((point) => point.startsWith(`${directory}/`));
}

/** Blanks and backslashes in a mount point are written as octal numbers. */
function unescapePath(text: string): string {
  const bytes = text.replace(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
  return fromBytes(Buffer.from(bytes, 'latin1'));
}

/** Processes that live in a directory, in whatever mount namespace: their root is the same directory. */
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
        // It has ended, or is another user's.
        if (errnoOf(error) === undefined) throw error;
        return [];
      }
    });
}
