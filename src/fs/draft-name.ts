import { lstatSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import path from 'node:path';
import { errnoOf } from '../errors.js';
import { toBytes } from './path-bytes.js';

/** The age at which another machine's draft counts as abandoned, in milliseconds. */
const ABANDONED = 24 * 60 * 60 * 1000;

let drafts = 0;

/** Returns the name of a draft, which identifies its process so that abandoned drafts can be recognized. */
export function draftPath(directory: string): string {
  return path.join(directory, `.jailbuild-${process.pid}-${system()}-${drafts++}.tmp`);
}

const DRAFT_NAME = /^\.jailbuild-(\d+)-([0-9a-f]+)-\d+\.tmp$/;

let knownSystem: string | undefined;

/** Identifies the system in which a process number is valid: this boot and this PID namespace. */
function system(): string {
  if (knownSystem === undefined) {
    try {
      const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').slice(0, 8);
      const namespace = /\d+/.exec(readlinkSync('/proc/self/ns/pid'))?.[0] ?? '0';
      knownSystem = `${boot}${Number(namespace).toString(16)}`;
    } catch (error) {
      if (errnoOf(error) === undefined) throw error;
      knownSystem = '0';
    }
  }
  return knownSystem;
}

/** Removes drafts that killed processes left in a directory. */
export function removeAbandoned(directory: string): void {
  try {
    const above = lstatSync(toBytes(directory));
    for (const name of readdirSync(toBytes(directory), { encoding: 'latin1' })) {
      const [, pid, where] = DRAFT_NAME.exec(name) ?? [];
      if (pid === undefined) continue;
      const at = path.join(directory, name);
      const stat = lstatSync(toBytes(at));
      if (stat.uid !== process.geteuid?.()) continue;
      const isAbandoned =
        where === system() ? !isAlive(Number(pid)) : Date.now() - stat.mtimeMs > ABANDONED;
      // Anyone who can replace the directory meanwhile could redirect the removal to another one.
      const isShared = (above.mode & 0o022) !== 0 && (above.mode & 0o1000) === 0;
      if (!isAbandoned || (stat.isDirectory() && isShared)) continue;
      rmSync(toBytes(at), { recursive: true, force: true });
    }
  } catch (error) {
    // Failing to clean up must not fail the command.
    if (errnoOf(error) === undefined) throw error;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return errnoOf(error) === 'EPERM';
  }
}
