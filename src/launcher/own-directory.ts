import { lstatSync, readlinkSync, rmSync } from 'node:fs';
import path from 'node:path';
import { ownTemporaryDirectory } from '../fs/own-environment.js';
import { listNames, toBytes } from '../fs/path-bytes.js';
import { makeTemporaryDirectory, type TemporaryDirectory } from '../fs/temporary-directory.js';
import { processStat } from './process-stat.js';

/**
 * Makes a private directory, after removing those of this user whose process has ended: one that was killed could not.
 * The name says whose it is: PID namespace, PID and start time, which no two processes share.
 */
export function makeOwnDirectory(): TemporaryDirectory {
  const parent = ownTemporaryDirectory();
  const [, namespace = ''] = /\[(\d+)\]/.exec(readlinkSync('/proc/self/ns/pid')) ?? [];
  removeLeft(parent, namespace);
  const own = [
    'jailbuild',
    namespace,
    readlinkSync('/proc/self'),
    processStat('self').start,
    '',
  ].join('-');
  return makeTemporaryDirectory(own, parent);
}

function removeLeft(parent: string, namespace: string): void {
  for (const name of listNames(parent)) {
    const [, its, pid, start] = /^jailbuild-(\d+)-(\d+)-(\d+)-\w+$/.exec(name) ?? [];
    // Processes of other PID namespaces are not in this one's /proc.
    if (its !== namespace || isRunning(Number(pid), start)) continue;
    const directory = toBytes(path.join(parent, name));
    const { uid, mode } = lstatSync(directory, { throwIfNoEntry: false }) ?? {};
    if (uid === process.geteuid?.() && mode === (0o40000 | 0o700))
      rmSync(directory, { recursive: true, force: true });
  }
}

function isRunning(pid: number, start: string | undefined): boolean {
  try {
    return processStat(pid).start === start;
  } catch {
    return false;
  }
}
