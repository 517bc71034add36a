import { mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { errnoOf } from '../errors.js';
import { replaceCacheFile } from '../fs/cache-directory.js';
import { insecureParent } from '../fs/insecure-parent.js';
import { ownVariable } from '../fs/own-environment.js';
import { readRecordStamp, stampOf } from '../jail/record/record.js';
import { environmentOf, type LaunchOptions, launcherArguments } from '../launcher/options.js';
import { canUncover } from '../launcher/uncovering.js';
import { hasFront } from './front.js';

/**
 * The directory of root's remembered launches: not in the jail, since what runs there as root could otherwise choose
 * its own rights. native/front/run.c reads it.
 */
const DIRECTORY = '/var/cache/jailbuild/launch';
const SCHEMA = 'jailbuild.launch/1';
/** At this number all are removed; a run makes its own again. */
const MOST = 256;

/**
 * Keeps the launcher's arguments of a run without options, so that the native front can start it without
 * Node while the record of the jail is unchanged. Runs that cannot be kept are skipped.
 *
 * @param root absolute path of the jail
 * @param command the default one
 */
export async function rememberLaunch(
  root: string,
  options: LaunchOptions,
  command: readonly string[],
): Promise<void> {
  const term = ownVariable('TERM');
  if (!hasFront() || process.geteuid?.() !== 0 || process.getuid?.() !== 0 || term === undefined)
    return;
  // Limits also depend on those of who runs it, sockets come from a supervisor, and a warning is to be seen.
  const isPlain = (options.rlimits ?? []).length === 0 && options.listenFds === undefined;
  if (!isPlain || canUncover(root, options)) return;
  try {
    const stamp = readRecordStamp(root);
    if (stamp === undefined) return;
    const words = launcherArguments(root, options, [], 'names');
    const variables = Object.entries(environmentOf(options, term)).map(([name, value]) =>
      // The value is that of each run, unless the jail has one of its own.
      name === 'TERM' && options.env?.TERM === undefined ? name : `${name}=${value}`,
    );
    const fields = [
      ...[SCHEMA, ...program(), root, stamp],
      ...[words.length, ...words],
      ...[variables.length, ...variables],
      ...command,
    ];
    const text = fields.map((field) => `${field}\0`).join('');
    // Bytes that are not UTF-8 would be changed.
    if (text.isWellFormed()) await keep(nameOf(root), text);
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
  }
}

/** Another one may tell the launcher something else. */
function program(): readonly string[] {
  const file = fileURLToPath(import.meta.url);
  return [file, stampOf(statSync(file, { bigint: true }))];
}

/** Returns FNV-1a of the path's bytes; the file itself names its jail. */
function nameOf(root: string): string {
  let hash = 0xcbf29ce484222325n;
  for (const byte of Buffer.from(root)) {
    hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100000001b3n);
  }
  return hash.toString(16).padStart(16, '0');
}

async function keep(name: string, text: string): Promise<void> {
  mkdirSync(DIRECTORY, { recursive: true, mode: 0o700 });
  if (insecureParent(DIRECTORY) !== undefined) return;
  const file = `${DIRECTORY}/${name}`;
  if (readIfThere(file) === text) return;
  const names = readdirSync(DIRECTORY);
  if (names.length >= MOST) {
    for (const old of names) await rm(`${DIRECTORY}/${old}`, { force: true });
  }
  replaceCacheFile(file, text);
}

function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}
