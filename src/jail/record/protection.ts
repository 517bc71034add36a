import {
  accessSync,
  constants,
  lstatSync,
  mkdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';
import { errnoOf, JailbuildError } from '../../errors.js';
import { pathBuffer, realPathOf, toBytes } from '../../fs/path-bytes.js';
import { STATE_DIRECTORY } from './state.js';

/** Where root keeps what must outlive a boot (hier(7)). */
const STATE_OF_ROOT = '/var/lib/jailbuild';

/**
 * Whether the place of a root's record can be covered. That a root has no record is no reason not to:
 * as root in it could make one, which a later build would take for its own.
 *
 * @returns false in what the caller cannot write to, where nothing is to be covered, and where something
 *   else has the name, which all who read records refuse
 */
export function isCoverable(root: string): boolean {
  try {
    const found = lstatSync(toBytes(path.join(root, STATE_DIRECTORY)), { throwIfNoEntry: false });
    if (found !== undefined) return found.isDirectory();
    accessSync(toBytes(root), constants.W_OK | constants.X_OK);
    return true;
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return false;
  }
}

/**
 * Notes that a root is about to be entered by a process that can get past the cover of its record, such
 * that no later build trusts the record. The note is kept outside of the root, by its path and inode.
 *
 * @returns false where it cannot be written
 */
export function noteUnprotected(root: string): boolean {
  const note = noteOf(root);
  if (note === undefined) return false;
  try {
    if (isNoted(note)) return true;
    mkdirSync(path.dirname(note.file), { recursive: true, mode: 0o700 });
    writeFileSync(note.file, Buffer.concat([pathBuffer(note.root), Buffer.of(0)]), {
      flag: 'a',
      mode: 0o600,
    });
    return true;
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return false;
  }
}

/**
 * Refuses the record of a root that was entered unprotected.
 *
 * @throws JailbuildError RECORD_REFUSED
 */
export function refuseUnprotected(root: string): void {
  const note = noteOf(root);
  if (note === undefined || !isNoted(note)) return;
  throw new JailbuildError(
    'RECORD_REFUSED',
    `${root}: was entered with rights that let its root write the record: build the jail anew, or remove ${note.file} to trust it`,
    root,
  );
}

/** Forgets what was noted of a root that is no more: another may have its path and inode. */
export function forgetUnprotected(root: string): void {
  const note = noteOf(root);
  if (note !== undefined && isNoted(note)) rmSync(note.file, { force: true });
}

interface Note {
  readonly file: string;
  /** The real path of the root. */
  readonly root: string;
}

function noteOf(root: string): Note | undefined {
  try {
    const real = realPathOf(root);
    const { ino } = lstatSync(toBytes(real), { bigint: true });
    return { file: path.join(stateHome(), 'unprotected', String(ino)), root: real };
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return undefined;
  }
}

function stateHome(): string {
  if (process.geteuid?.() === 0) return STATE_OF_ROOT;
  const { XDG_STATE_HOME: given } = process.env;
  const home = given?.startsWith('/') ? given : path.join(homedir(), '.local/state');
  return path.join(home, 'jailbuild');
}

/** One inode number may be that of roots in several file systems. */
function isNoted({ file, root }: Note): boolean {
  let roots: Buffer;
  try {
    roots = readFileSync(file);
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return false;
  }
  const line = Buffer.concat([pathBuffer(root), Buffer.of(0)]);
  const at = roots.indexOf(line);
  return at === 0 || (at > 0 && roots.includes(Buffer.concat([Buffer.of(0), line])));
}
