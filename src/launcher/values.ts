import { fstatSync } from 'node:fs';
import path from 'node:path';
import { JailbuildError } from '../errors.js';
import { ownVariable } from '../fs/own-environment.js';
import { pathBuffer } from '../fs/path-bytes.js';
import type { BindMount, IdMap, ResourceLimit, TmpfsMount } from './options.js';

/** Parsers for values of run options. Each throws JailbuildError USAGE for invalid text. */

const UNITS: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  k: 2 ** 10,
  m: 2 ** 20,
  g: 2 ** 30,
  t: 2 ** 40,
};

/** In bytes: HOST_NAME_MAX of Linux (sethostname(2)). */
const MAX_HOSTNAME = 64;

function refuse(option: string, text: string, wanted: string): never {
  throw new JailbuildError('USAGE', `${option} ${text}: give ${wanted}`);
}

/** Parses a size such as `512m` or `1.5g`; returns bytes. */
export function parseSize(option: string, text: string): number {
  const [, number, unit] = /^(\d+(?:\.\d+)?)([bkmgt]?)b?$/i.exec(text) ?? [];
  const size = Number(number) * (UNITS[unit?.toLowerCase() ?? ''] ?? Number.NaN);
  if (!Number.isSafeInteger(Math.round(size)) || size < 1)
    refuse(option, text, 'a size such as 512m');
  return Math.round(size);
}

export function parseCount(option: string, text: string): number {
  const count = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(count) || count < 1)
    refuse(option, text, 'a number of at least 1');
  return count;
}

/** Parses a number of processors; the kernel's minimum is 0.01 (cgroups(7), cpu.max). */
export function parseCpus(option: string, text: string): number {
  const cpus = /^\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN;
  if (!(cpus >= 0.01 && cpus <= 100_000))
    refuse(option, text, 'a number of processors of at least 0.01');
  return cpus;
}

export function parseSeconds(option: string, text: string): number {
  const seconds = Number(text);
  if (!/^-?\d+$/.test(text) || !Number.isSafeInteger(seconds))
    refuse(option, text, 'whole seconds');
  return seconds;
}

/** Parses SRC[:DEST][:ro|rw]; SRC is relative to the working directory. */
export function parseBind(option: string, text: string, devices: boolean): BindMount {
  const wanted = 'SRC[:DEST][:ro], DEST an absolute path';
  const parts = text.split(/(?<!\\):/).map((part) => part.replace(/\\([\\:])/g, '$1'));
  const mode = /^r[ow]$/.test(parts.at(-1) ?? '') && parts.length > 1 ? parts.pop() : 'rw';
  const [given = '', target = path.resolve(given), ...more] = parts;
  if (given === '' || !target.startsWith('/') || more.length > 0) refuse(option, text, wanted);
  const source = path.resolve(given);
  return { source, target: insideOf(option, target), readOnly: mode === 'ro', devices };
}

/** Parses DEST[:OPTION,...]. */
export function parseTmpfs(option: string, text: string): TmpfsMount {
  const cut = text.indexOf(':');
  const target = cut < 0 ? text : text.slice(0, cut);
  if (!target.startsWith('/')) refuse(option, text, 'an absolute path, and options after a colon');
  return {
    target: insideOf(option, target),
    ...(cut < 0 ? {} : { options: text.slice(cut + 1) }),
  };
}

function insideOf(option: string, target: string): string {
  if (/^\/+$/.test(target)) refuse(option, target, 'a path other than the root of the jail');
  return target;
}

const LIMITS =
  'as core cpu data fsize locks memlock msgqueue nice nofile nproc rss rtprio rttime sigpending stack';

/** Parses NAME=SOFT[:HARD], as podman's --ulimit does. */
export function parseLimit(option: string, text: string): ResourceLimit {
  const wanted = `NAME=SOFT[:HARD], NAME one of ${LIMITS.replaceAll(' ', ', ')}`;
  const [, name = '', soft = '', hard = soft] =
    /^([a-z]+)=(-1|\d+|unlimited)(?::(-1|\d+|unlimited))?$/.exec(text) ?? [];
  if (!LIMITS.split(' ').includes(name)) refuse(option, text, wanted);
  return { name, soft: limitValue(soft), hard: limitValue(hard) };
}

function limitValue(text: string): number | 'unlimited' {
  return text === '-1' || text === 'unlimited' ? 'unlimited' : Number(text);
}

/** Parses a host name: programs print it in lines and prompts, and take it for a word. */
export function parseHostname(option: string, text: string): string {
  if (text === '' || /[\p{Cc}\p{Z}/]/u.test(text))
    refuse(option, text, 'a name without blanks, control characters and slashes');
  if (pathBuffer(text).length > MAX_HOSTNAME)
    refuse(option, text, `a name of at most ${MAX_HOSTNAME} bytes`);
  return text;
}

/** Parses a working directory inside of the jail. */
export function parseWorkdir(option: string, text: string): string {
  if (text === '') refuse(option, text, 'a directory of the jail');
  return text;
}

/** Parses an octal mode, as in umask(1). */
export function parseUmask(option: string, text: string): string {
  if (!/^[0-7]{1,4}$/.test(text) || Number.parseInt(text, 8) > 0o777)
    refuse(option, text, 'an octal mode up to 777');
  return text;
}

/** Parses INSIDE:OUTSIDE:COUNT. */
export function parseIdMap(option: string, text: string): IdMap {
  const [, inside, outside, count] = /^(\d+):(\d+):([1-9]\d*)$/.exec(text) ?? [];
  if (count === undefined) refuse(option, text, 'INSIDE:OUTSIDE:COUNT');
  return { inside: Number(inside), outside: Number(outside), count: Number(count) };
}

/** Parses NAME=VALUE, or NAME for a variable of this process; returns nothing if that is not set. */
export function parseVariable(
  option: string,
  text: string,
): readonly (readonly [name: string, value: string])[] {
  const cut = text.indexOf('=');
  if (cut === 0 || text === '') refuse(option, text, 'NAME=VALUE, or NAME');
  if (cut > 0) return [[text.slice(0, cut), text.slice(cut + 1)]];
  const own = ownVariable(text);
  return own === undefined ? [] : [[text, own]];
}

/** Parses lines of NAME=VALUE or NAME; ignores empty lines and those that begin with #. */
export function parseVariables(
  option: string,
  text: string,
): readonly (readonly [name: string, value: string])[] {
  // The text is not shown: it may be a secret.
  if (text.includes('\0'))
    throw new JailbuildError(
      'USAGE',
      `${option}: the file contains a NUL byte: list one NAME[=VALUE] per line`,
    );
  return text
    .split('\n')
    .filter((line) => !/^\s*(#|$)/.test(line))
    .flatMap((line) => parseVariable(option, line));
}

/** Parses a descriptor of this process other than a standard stream. */
export function parseDescriptor(option: string, text: string): number {
  const fd = /^\d{1,7}$/.test(text) ? Number(text) : -1;
  if (fd < 3) refuse(option, text, 'the number of an open descriptor, 3 or greater');
  if (!isOpen(fd)) refuse(option, text, 'the number of an open descriptor');
  return fd;
}

/** Parses a number of descriptors, starting at 3, which must be open. */
export function parseDescriptorCount(option: string, text: string): number {
  const count = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (Number.isNaN(count)) refuse(option, text, 'a number of descriptors');
  for (let fd = 3; fd < 3 + count; fd++) {
    if (!isOpen(fd)) refuse(option, text, `a lower number: descriptor ${fd} is not open`);
  }
  return count;
}

/** Returns whether this process has a descriptor. */
export function isOpen(fd: number): boolean {
  try {
    fstatSync(fd);
    return true;
  } catch {
    return false;
  }
}
