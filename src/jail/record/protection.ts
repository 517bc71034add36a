import {
  accessSync,
  constants,
  lstatSync,
  mkdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { errnoOf, JailbuildError } from '../../errors.js';
import { ownHome, ownVariable } from '../../fs/own-environment.js';
import { pathBuffer, realPathOf, toBytes } from '../../fs/path-bytes.js';
import { STATE_DIRECTORY } from './state.js';

/** Directory for root's persistent state (hier(7)). */
const STATE_OF_ROOT = '/var/lib/jailbuild';

/**
 * Returns whether the place of a root's record can be covered, even if there is no record: root inside could create one
 * that a later build would trust.
 *
 * @returns false if the caller cannot write there, so that no cover is needed, and if the name belongs to something
 * else, which readers of records refuse
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
 * Notes, outside the root, by its path and inode, that a process able to remove the cover of its record will enter it,
 * so that later builds do not trust the record.
 *
 * @returns false if the note cannot be written
 */
export function noteUnprotected(root: string): boolean {
  const note = noteOf(root);
  if (note === undefined) return false;
  try {
    if (isNoted(note)) return true;
    mkdirSync(toBytes(path.dirname(note.file)), { recursive: true, mode: 0o700 });
    writeFileSync(toBytes(note.file), Buffer.concat([pathBuffer(note.root), Buffer.of(0)]), {
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
    `${root}: was run with privileges that let its root change the record: rebuild the jail, or remove ${note.file} to trust the record`,
    root,
  );
}

/** Deletes the note of a root that was removed: a new root may have the same path and inode. */
export function forgetUnprotected(root: string): void {
  const note = noteOf(root);
  if (note !== undefined && isNoted(note)) rmSync(toBytes(note.file), { force: true });
}

/** A file that notes, by the inode, roots that were entered unprotected. */
interface Note {
  readonly file: string;
  /** Real path of the root. */
  readonly root: string;
}

/** Returns the place of the note about a root, or undefined if it cannot be determined. */
export function noteOf(root: string): Note | undefined {
  try {
    const real = realPathOf(root);
    const { ino } = lstatSync(toBytes(real), { bigint: true });
    return { file: path.join(notesDirectory(), String(ino)), root: real };
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return undefined;
  }
}

/** Returns the directory of the notes, each named by an inode. */
export function notesDirectory(): string {
  return path.join(stateHome(), 'unprotected');
}

function stateHome(): string {
  if (process.geteuid?.() === 0) return STATE_OF_ROOT;
  const given = ownVariable('XDG_STATE_HOME');
  const home = given?.startsWith('/') ? given : path.join(ownHome(), '.local/state');
  return path.join(home, 'jailbuild');
}

/** Compares paths too, since inode numbers repeat across file systems. */
function isNoted({ file, root }: Note): boolean {
  let roots: Buffer;
  try {
    roots = readFileSync(toBytes(file));
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return false;
  }
  const line = Buffer.concat([pathBuffer(root), Buffer.of(0)]);
  const at = roots.indexOf(line);
  return at === 0 || (at > 0 && roots.includes(Buffer.concat([Buffer.of(0), line])));
}
