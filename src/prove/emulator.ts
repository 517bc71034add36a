import { chmodSync, constants, copyFileSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { parseElf } from '../elf/parse.js';
import { elfPlatform } from '../elf/platform.js';
import { errnoOf, JailbuildError } from '../errors.js';
import { ownVariable } from '../fs/own-environment.js';
import { isTrace, Sysroot, type Trace } from '../fs/sysroot.js';
import { parsePlatform } from '../image/platform.js';
import { environmentOf, type LaunchOptions } from '../launcher/options.js';
import { lookUpProgram } from '../resolve/find-program.js';
import {
  isScript,
  isShebang,
  MAX_INTERPRETERS,
  parseShebang,
  SCRIPT_START,
} from '../resolve/scripts/shebang.js';

/** Names of machines in those of QEMU's emulators, where they differ from GOARCH. */
const QEMU_NAMES: Readonly<Record<string, string>> = {
  amd64: 'x86_64',
  386: 'i386',
  arm64: 'aarch64',
  loong64: 'loongarch64',
  mipsle: 'mipsel',
  mips64le: 'mips64el',
};
/** Machines by Node's names, with those whose programs their kernels run too. */
const RUN_HERE: Readonly<Record<string, readonly string[]>> = {
  x64: ['amd64', '386'],
  arm64: ['arm64'],
  arm: ['arm'],
  ia32: ['386'],
  riscv64: ['riscv64'],
  s390x: ['s390x'],
  ppc64: ['ppc64le'],
  loong64: ['loong64'],
};
const BINFMT = '/proc/sys/fs/binfmt_misc';

/**
 * Returns a command as it runs in a jail on this machine. A program for another machine, or a script whose interpreter
 * is one, is run by QEMU's emulator for single programs, which is copied into the jail, unless the kernel starts
 * an emulator by itself (binfmt_misc).
 *
 * @param root of a jail that is removed afterwards
 * @throws JailbuildError TOOL_MISSING
 */
export function runnableCommand(
  root: string,
  launch: LaunchOptions,
  command: readonly string[],
): readonly string[] {
  const view = new Sysroot(root);
  const searchPath = (environmentOf(launch, undefined).PATH ?? '').split(':');
  const native = scriptless(view, searchPath, command);
  const [program = ''] = native;
  const start = startOf(view, program);
  const platform = start === undefined ? undefined : elfPlatform(start);
  if (start === undefined || platform === undefined) return command;
  const { architecture } = parsePlatform(platform);
  if (RUN_HERE[process.arch]?.includes(architecture) || isStartedByKernel(start)) return command;
  const name = `qemu-${QEMU_NAMES[architecture] ?? architecture}`;
  const emulator = findEmulator(name);
  if (emulator === undefined) {
    throw new JailbuildError(
      'TOOL_MISSING',
      `${program} is for ${platform}, which this machine runs by ${name}-static only: install it (Debian: qemu-user-static), or leave out the proof`,
      program,
    );
  }
  const inside = `/.${name}`;
  const copy = path.join(root, inside);
  try {
    // An earlier proof's copy remains. A link there, which the jail may contain, must not be written through.
    copyFileSync(emulator, copy, constants.COPYFILE_EXCL);
    chmodSync(copy, 0o755);
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw error;
  }
  return [inside, ...native];
}

/** Replaces a script by its interpreter, as the kernel does. The program is named by its path. */
function scriptless(
  view: Sysroot,
  searchPath: readonly string[],
  command: readonly string[],
): readonly string[] {
  let [name = '', ...words] = command;
  for (let scripts = 0; scripts <= MAX_INTERPRETERS; scripts++) {
    const asked = scripts === 0 ? pathOf(view, searchPath, name) : name;
    if (asked === undefined) break;
    const start = startOf(view, asked);
    const shebang = start !== undefined && isScript(start) ? parseShebang(start) : undefined;
    if (shebang === undefined || !isShebang(shebang)) return [asked, ...words];
    const { interpreter, argument } = shebang;
    words = [...(argument === undefined ? [] : [argument]), asked, ...words];
    name = interpreter;
  }
  return command;
}

/** Returns the path by which execvp(3) starts a program. */
function pathOf(view: Sysroot, searchPath: readonly string[], name: string): string | undefined {
  if (name.includes('/')) return name;
  const directory = searchPath.find((item) => lookUpProgram(view, name, [item]) !== undefined);
  return directory === undefined ? undefined : path.join(directory, name);
}

/** Returns the first bytes of a file of the jail; undefined if there is none. */
function startOf(view: Sysroot, name: string): Buffer | undefined {
  const found = name.startsWith('/') ? view.trace(name) : undefined;
  if (found === undefined || !isTrace(found) || found.stat.type !== 'file') return undefined;
  const file = view.open(found);
  try {
    return file.read(0, Math.min(file.size, SCRIPT_START));
  } finally {
    file.close();
  }
}

/** Returns the path of an emulator that needs nothing else in the jail: a static one. */
function findEmulator(name: string): string | undefined {
  const host = new Sysroot();
  const searchPath = (ownVariable('PATH') ?? '').split(':');
  return [`${name}-static`, name]
    .flatMap((program) => lookUpProgram(host, program, searchPath) ?? [])
    .find((found) => isStatic(host, found))?.path;
}

function isStatic(host: Sysroot, found: Trace): boolean {
  const file = host.open(found);
  try {
    return parseElf(file).interpreter === undefined;
  } catch {
    return false;
  } finally {
    file.close();
  }
}

/**
 * Returns whether the kernel starts an emulator for programs with these first bytes, in a jail too: it must hold the
 * emulator open (Documentation/admin-guide/binfmt-misc.rst, flag F).
 */
function isStartedByKernel(start: Buffer): boolean {
  return registrations().some((text) => {
    const field = (name: string) => new RegExp(`^${name}:? (.*)$`, 'm').exec(text)?.[1] ?? '';
    const magic = Buffer.from(field('magic'), 'hex');
    if (!text.startsWith('enabled') || !field('flags').includes('F') || magic.length === 0)
      return false;
    const mask = Buffer.from(field('mask'), 'hex');
    const at = Number(field('offset'));
    return magic.every(
      (byte, index) => byte === ((start[at + index] ?? 0) & (mask[index] ?? 0xff)),
    );
  });
}

function registrations(): readonly string[] {
  try {
    return readdirSync(BINFMT)
      .filter((name) => name !== 'register' && name !== 'status')
      .map((name) => readFileSync(path.join(BINFMT, name), 'utf8'));
  } catch {
    return [];
  }
}
