import assert from 'node:assert/strict';
import {
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
} from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { type Cpu, cpuOfLevel } from '../../src/loader/cpu.js';
import { resolve } from '../../src/resolve/resolve.js';
import { exec, PROJECT } from '../support/cli.js';
import { askLoader, cpuOfLoader, type LoaderList, OurLoader } from '../support/loader-oracle.js';
import { needsRoot } from '../support/need.js';
import { tempDir } from '../support/temp-dir.js';

const RULES = path.join(PROJECT, 'fixtures/loader');

/** One program of a rule, under some circumstances, and what comes of it. */
interface Case {
  readonly program: string;
  readonly libraryPath: readonly string[];
  /** A level, or '' for the baseline; undefined for this machine's processor. */
  readonly level: string | undefined;
  /** True to ask by `--list`, which unlike tracing has no entries for what is missing and need not be. */
  readonly lists: boolean;
  /** Lines `name => path [rule]`, `name => not found` or `error: text`. */
  readonly lines: readonly string[];
}

interface Rule {
  readonly cases: readonly Case[];
  /** Every library that the programs bring along together. */
  readonly closure: readonly string[] | undefined;
  /** Beginnings of sentences that the user is told. */
  readonly warnings: readonly string[];
}

const LOADERS = ['/lib64/ld-linux-x86-64.so.2', '/lib/ld-linux.so.2', '/lib/ld-musl-x86_64.so.1'];
const IS_X86_64 = process.arch === 'x64' && existsSync('/lib64/ld-linux-x86-64.so.2');
const HOST_CPU: Cpu = IS_X86_64
  ? cpuOfLoader('/lib64/ld-linux-x86-64.so.2')
  : { levels: [], platform: undefined, legacy: [] };
/** glibc until 2.36 tells of legacy subdirectories. */
const HAS_LEGACY = HOST_CPU.legacy.length > 1;

/** Reads `expected`: a line for each case, with the lines of its answer indented below. */
function readRule(name: string): Rule {
  const cases: Case[] = [];
  let closure: string[] | undefined;
  let warnings: string[] = [];
  let lines: string[] = [];
  for (const line of readFileSync(path.join(RULES, name, 'expected'), 'utf8').split('\n')) {
    if (line.startsWith('  ')) lines.push(line.trim());
    if (line.startsWith('  ') || line === '') continue;
    lines = [];
    const [program = '', ...facts] = line.split(' ');
    if (program === 'closure') closure = lines;
    else if (program === 'warnings') warnings = lines;
    else if (!facts.includes(HAS_LEGACY ? 'glibc>=2.37' : 'glibc<2.37')) {
      const fact = (key: string) => facts.find((one) => one.startsWith(key))?.slice(key.length);
      const libraryPath = fact('library-path=')?.split(':') ?? [];
      cases.push({
        program,
        libraryPath,
        level: fact('cpu='),
        lists: facts.includes('list'),
        lines,
      });
    }
  }
  return { cases, closure, warnings };
}

/** Builds a rule's root, and copies the loaders that its programs name into it. */
function build(name: string, { cases }: Rule): string {
  const root = tempDir();
  const { status, stderr } = exec('make', ['-s', '-C', path.join(RULES, name), `ROOT=${root}`]);
  assert.equal(status, 0, stderr);
  for (const loader of LOADERS) {
    const isNamed = ({ program }: Case) => {
      const named = new OurLoader(root).parse(program).elf.interpreter;
      return named === loader || (named !== undefined && linkTo(root + named) === loader);
    };
    if (!cases.some(isNamed)) continue;
    mkdirSync(root + path.dirname(loader), { recursive: true });
    copyFileSync(loader, root + loader);
  }
  return root;
}

function linkTo(file: string): string | undefined {
  return lstatSync(file, { throwIfNoEntry: false })?.isSymbolicLink()
    ? readlinkSync(file)
    : undefined;
}

/** The answer of the loader itself, in the root: the kernel starts it, or it is told a level. */
function ask(root: string, one: Case, loader: string): Promise<LoaderList> {
  const { program, libraryPath, level, lists } = one;
  const path = libraryPath.length === 0 ? '' : `LD_LIBRARY_PATH='${libraryPath.join(':')}'`;
  const levels = level === undefined || level === '' ? ['none'] : cpuFor(level).levels;
  let command: string;
  if (lists || isMusl(root, loader)) {
    command = `${path} exec busybox chroot ${root} ${loader} --list ${program}`;
  } else {
    const masked = `${loader} --glibc-hwcaps-mask ${levels.join(':')}`;
    const direct = `${level === undefined ? '' : masked} ${program}`;
    command = `LD_TRACE_LOADED_OBJECTS=1 ${path} exec busybox chroot ${root} ${direct}`;
  }
  // The loader of a program that the kernel started learns from /proc where that is. busybox is static:
  // what is meant for the loader in the root means nothing to it.
  const script = `cd / && mkdir -p ${root}/proc && mount -t proc proc ${root}/proc && ${command}`;
  return askLoader(['unshare', '--mount', 'busybox', 'sh', '-c', script], loader, process.env);
}

function isMusl(root: string, loader: string): boolean {
  return (linkTo(root + loader) ?? loader).includes('ld-musl');
}

/** A processor of a level, as far as the loader of this machine has a say in it. */
function cpuFor(level: string): Cpu {
  const abi = new OurLoader().parse('/lib64/ld-linux-x86-64.so.2').elf.headers;
  return { ...HOST_CPU, levels: level === '' ? [] : cpuOfLevel(abi, level).levels };
}

/** Our answer as the expected lines have it. */
function answer(list: LoaderList): string[] {
  if (list.error !== undefined) return [`error: ${list.error}`];
  return [
    ...list.found.map((line) => line.replace(/ => (?!\/)/, ' => /')),
    ...list.missing.map((name) => `${name} => not found`),
  ];
}

// The fixtures name the directories and levels of x86-64.
const NEEDS = IS_X86_64 ? needsRoot('cc', 'make', 'musl-gcc', 'busybox') : { skip: 'needs x86-64' };

describe('the rules of the loaders', NEEDS, () => {
  for (const name of readdirSync(RULES).sort()) {
    if (!existsSync(path.join(RULES, name, 'expected'))) continue;
    test(name, async () => {
      const rule = readRule(name);
      const root = build(name, rule);
      for (const one of rule.cases) await check(root, one);
      checkClosure(root, rule);
    });
  }
});

async function check(root: string, one: Case): Promise<void> {
  const { program, libraryPath, level, lines } = one;
  const ours = new OurLoader(root, libraryPath);
  const loader = ours.parse(program).elf.interpreter;
  if (loader === undefined) {
    const { files } = resolve({ programs: [program], sysroot: root, terminfo: 'none' });
    const libraries = files.filter(
      ({ stat, path: file }) => stat.type === 'file' && file !== program,
    );
    assert.deepEqual(
      libraries.map(({ path: file }) => file),
      lines,
      program,
    );
    return;
  }
  const title = `${program} ${level ?? ''} ${libraryPath}`;
  const list = ours.list(program, () => (level === undefined ? HOST_CPU : cpuFor(level)));
  const [first = ''] = lines;
  const isSupported = level === undefined || level === '' || HOST_CPU.levels.includes(level);
  const theirs = isSupported ? await ask(root, one, loader) : undefined;
  if (first.startsWith('error: ')) {
    assert.ok(list.error?.includes(first.slice('error: '.length)), `${title}: ${list.error}`);
    if (theirs !== undefined)
      assert.ok(theirs.error !== undefined || theirs.missing.length > 0, title);
    return;
  }
  assert.deepEqual(
    answer(list),
    lines.map((line) => line.replace(/ \[.*\]$/, '')),
    title,
  );
  if (theirs !== undefined) assert.deepEqual(answer(list), answer(theirs), title);
  assert.deepEqual(
    list.rules,
    lines.flatMap((line) => / \[(.*)\]$/.exec(line)?.[1] ?? []),
    title,
  );
}

function checkClosure(root: string, { cases, closure, warnings }: Rule): void {
  if (closure === undefined && warnings.length === 0) return;
  const programs = [...new Set(cases.map(({ program }) => program))];
  const result = resolve({ programs, sysroot: root, terminfo: 'none', ldCache: 'copy' });
  const libraries = result.files
    .filter(({ path: file, stat }) => /\.so(\.\d+)*$/.test(file) && stat.type !== 'directory')
    .map(({ path: file }) => file)
    .filter((file) => !LOADERS.includes(file));
  if (closure !== undefined) assert.deepEqual(libraries, closure);
  for (const warning of warnings) {
    assert.ok(
      result.warnings.some((line) => line.startsWith(warning)),
      result.warnings.join('\n'),
    );
  }
}
