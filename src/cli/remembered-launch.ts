import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { errnoOf } from '../errors.js';
import { replaceCacheFile } from '../fs/cache-directory.js';
import { insecureParent } from '../fs/insecure-parent.js';
import { readRecordStamp } from '../jail/record/record.js';
import { environmentOf, launcherParts, mountArguments } from '../launcher/options.js';
import { UNASKED } from '../launcher/tmp.js';
import { canUncover } from '../launcher/uncovering.js';
import { hasFront } from './front.js';
import { asFields, programFields } from './front-fields.js';
import type { JailDefaults } from './options/launch.js';

/**
 * The directory of root's remembered launch defaults: not in the jail, since what runs there as root could otherwise
 * choose its own rights. native/front/remembered.c reads it.
 */
const DIRECTORY = '/var/cache/jailbuild/launch';
const SCHEMA = 'jailbuild.launch/2';
/** At this number all are removed; a run makes its own again. */
const MOST = 256;

/**
 * Keeps the launcher's arguments of a run without options, divided by the options of `run` that change them, so that the
 * native front can start runs with common options without Node while the record of the jail is unchanged. Jails that
 * do not allow this are skipped.
 *
 * @param root absolute path of the jail
 */
export async function rememberDefaults(root: string): Promise<void> {
  if (!hasFront() || process.geteuid?.() !== 0 || process.getuid?.() !== 0) return;
  try {
    const stamp = readRecordStamp(root);
    if (stamp === undefined) return;
    const head = [SCHEMA, ...programFields(), root, stamp];
    if (isWhole(readIfThere(fileOf(root)), asFields(head))) return;
    const { jailDefaults } = await import('./options/launch.js');
    const defaults = jailDefaults(root);
    if (!isRememberable(root, defaults)) return;
    const body = asFields(fieldsOf(root, defaults));
    const text = asFields([...head, Buffer.byteLength(body)]) + body;
    // Bytes that are not UTF-8 would be changed.
    if (text.isWellFormed()) await keep(fileOf(root), text);
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
  }
}

/** Returns whether a file begins like that, and has as many bytes after the number of them as this says. */
function isWhole(text: string | undefined, head: string): boolean {
  if (!text?.startsWith(head)) return false;
  const end = text.indexOf('\0', head.length);
  return Number(text.slice(head.length, end)) === Buffer.byteLength(text.slice(end + 1));
}

/**
 * Limits also depend on those of the caller, a warning must be shown by each run, and JavaScript sorts names that are
 * numbers before others.
 */
function isRememberable(root: string, { launch }: JailDefaults): boolean {
  const hasNumbers = Object.keys(launch.env ?? {}).some((name) => /^\d+$/.test(name));
  return (launch.rlimits ?? []).length === 0 && !hasNumbers && !canUncover(root, launch);
}

/** Each list follows its length; the command is last. */
function fieldsOf(
  root: string,
  { launch, cover, mayNeedTmp, command }: JailDefaults,
): readonly (string | number)[] {
  const { env = {}, ...others } = launch;
  // The front sets TERM to that of each run.
  const defaults = Object.entries(environmentOf(others, '')).map(variableText);
  const own = Object.entries(env).map(variableText);
  const parts = launcherParts(root, launch, 'names').flatMap((part) =>
    part.name === 'mounts'
      ? [
          { name: '', words: cover === undefined ? [] : mountArguments(cover) },
          ...(mayNeedTmp ? [{ name: 'no-tmp', words: mountArguments(UNASKED) }] : []),
          part,
        ]
      : [part],
  );
  return [
    parts.length,
    ...parts.flatMap(({ name, words }) => [name, words.length, ...words]),
    ...[defaults.length, ...defaults, own.length, ...own],
    ...command,
  ];
}

function variableText([name, value]: readonly [string, string]): string {
  return `${name}=${value}`;
}

/** Names the file by FNV-1a of the path's bytes; the file itself names its jail. */
function fileOf(root: string): string {
  let hash = 0xcbf29ce484222325n;
  for (const byte of Buffer.from(root)) {
    hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100000001b3n);
  }
  return `${DIRECTORY}/${hash.toString(16).padStart(16, '0')}`;
}

async function keep(file: string, text: string): Promise<void> {
  mkdirSync(DIRECTORY, { recursive: true, mode: 0o700 });
  if (insecureParent(DIRECTORY) !== undefined) return;
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
