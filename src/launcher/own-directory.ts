import { lstatSync, mkdtempSync, readdirSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { processStat } from './process-stat.js';

/** A private directory in the directory for temporary files. */
export interface OwnDirectory {
  readonly path: string;
  remove(): void;
}

/**
 * Makes a private directory, after removing those of this user whose process has ended: one that was killed could not.
 * The name says whose it is: PID namespace, PID and start time, which no two processes share.
 */
export function makeOwnDirectory(): OwnDirectory {
  const parent = tmpdir();
  const [, namespace = ''] = /\[(\d+)\]/.exec(readlinkSync('/proc/self/ns/pid')) ?? [];
  removeLeft(parent, namespace);
  const own = [
    'jailbuild',
    namespace,
    readlinkSync('/proc/self'),
    processStat('self').start,
    '',
  ].join('-');
  const directory = mkdtempSync(path.join(parent, own));
  return {
    path: directory,
    remove: () => rmSync(directory, { recursive: true, force: true }),
  };
}

function removeLeft(parent: string, namespace: string): void {
  for (const name of readdirSync(parent)) {
    const [, its, pid, start] = /^jailbuild-(\d+)-(\d+)-(\d+)-\w+$/.exec(name) ?? [];
    // Processes of other PID namespaces are not in this one's /proc.
    if (its !== namespace || isRunning(Number(pid), start)) continue;
    const directory = path.join(parent, name);
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
