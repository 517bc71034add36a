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
import { build } from '../../src/library/build.js';
import { type Cpu, cpuOfLevel } from '../../src/loader/cpu.js';
import { resolve } from '../../src/resolve/resolve.js';
import { exec, PROJECT } from './cli.js';
import { askLoader, type LoaderList, OurLoader } from './loader-oracle.js';
import { tempDir } from './temp-dir.js';

const RULES = path.join(PROJECT, 'fixtures/loader');

/** The machine for which rules are built, and how to run its loader. */
export interface RuleMachine {
  /** Variables for the Makefiles. */
  readonly make: readonly string[];
  /** The name that replaces `x86_64` in the answers. */
  readonly name: string;
  /** Loader files of the host, by their paths in the rules' roots. */
  readonly loaders: Readonly<Record<string, string>>;
  /** The processor that the loader detects. */
  readonly cpu: Cpu;
  /** A static emulator for the machine's programs. */
  readonly emulator?: string;
}

/** One program of a rule, how to run it, and the expected result. */
interface Case {
  readonly program: string;
  readonly libraryPath: readonly string[];
  /** A feature level, or '' for the baseline; undefined for this machine's processor. */
  readonly level: string | undefined;
  /** Use `--list`, which unlike tracing lists no missing libraries and tolerates optional ones. */
  readonly lists: boolean;
  /** False if the answer differs in a jail, where nothing obstructs the search. */
  readonly inJail: boolean;
  /** Lines `name => path [rule]`, `name => not found` or `error: text`. */
  readonly lines: readonly string[];
}

interface Rule {
  readonly cases: readonly Case[];
  /** All libraries that the programs bring together. */
  readonly closure: readonly string[] | undefined;
  /** Beginnings of expected warnings. */
  readonly warnings: readonly string[];
}

/** Returns the names of all rules. */
export function ruleNames(): string[] {
  return readdirSync(RULES)
    .filter((name) => existsSync(path.join(RULES, name, 'expected')))
    .sort();
}

/**
 * Builds a rule's root, and compares jailbuild's answers with the expected ones and the loader's
 * own.
 */
export async function checkRule(name: string, machine: RuleMachine): Promise<void> {
  const rule = readRule(name, machine);
  const root = makeRoot(name, rule, machine);
  for (const one of rule.cases) await check(root, one, machine);
  checkClosure(root, rule, machine);
  await checkJails(root, rule, machine);
}

/** Reads `expected`: a line for each case, with the lines of its answer indented below. */
function readRule(name: string, machine: RuleMachine): Rule {
  const cases: Case[] = [];
  let closure: string[] | undefined;
  let warnings: string[] = [];
  let lines: string[] = [];
  // glibc up to 2.36 reports legacy subdirectories.
  const other = machine.cpu.legacy.length > 1 ? 'glibc>=2.37' : 'glibc<2.37';
  const text = readFileSync(path.join(RULES, name, 'expected'), 'utf8');
  for (const line of text.split('\n')) {
    if (line.startsWith('  ')) lines.push(line.trim().replaceAll('x86_64', machine.name));
    if (line.startsWith('  ') || line === '') continue;
    lines = [];
    const [program = '', ...facts] = line.split(' ');
    if (program === 'closure') closure = lines;
    else if (program === 'warnings') warnings = lines;
    else {
      const fact = (key: string) => facts.find((one) => one.startsWith(key))?.slice(key.length);
      const isFor = fact('only=')?.split(',').includes(machine.name) ?? true;
      if (facts.includes(other) || !isFor) continue;
      const libraryPath = fact('library-path=')?.split(':') ?? [];
      cases.push({
        program,
        libraryPath,
        level: fact('cpu='),
        lists: facts.includes('list'),
        inJail: !facts.includes('no-jail'),
        lines,
      });
    }
  }
  return { cases, closure, warnings };
}

/** Builds a rule's root, and copies the loaders of its programs into it. */
function makeRoot(name: string, { cases }: Rule, { make, loaders, emulator }: RuleMachine): string {
  const root = tempDir();
  const args = ['-s', '-C', path.join(RULES, name), `ROOT=${root}`, ...make];
  const { status, stderr } = exec('make', args);
  assert.equal(status, 0, stderr);
  for (const [loader, file] of Object.entries(loaders)) {
    const isNamed = ({ program }: Case) => {
      const named = new OurLoader(root).parse(program).elf.interpreter;
      return named === loader || (named !== undefined && linkTo(root + named) === loader);
    };
    if (!cases.some(isNamed)) continue;
    mkdirSync(root + path.dirname(loader), { recursive: true });
    copyFileSync(file, root + loader);
  }
  addEmulator(root, emulator);
  return root;
}

function addEmulator(root: string, emulator: string | undefined): void {
  if (emulator !== undefined) copyFileSync(emulator, `${root}/emulator`);
}

function linkTo(file: string): string | undefined {
  return lstatSync(file, { throwIfNoEntry: false })?.isSymbolicLink()
    ? readlinkSync(file)
    : undefined;
}

/**
 * Returns the answer of the loader itself, in the root: started by the kernel, or with a given
 * level.
 */
function ask(root: string, one: Case, loader: string, machine: RuleMachine): Promise<LoaderList> {
  const { program, libraryPath, level, lists } = one;
  const variables = libraryPath.length === 0 ? [] : [`LD_LIBRARY_PATH='${libraryPath.join(':')}'`];
  const levels =
    level === undefined || level === '' ? ['none'] : cpuFor(level, machine, loader).levels;
  let command: string;
  if (lists || isMusl(root, loader)) {
    command = `${loader} --list ${program}`;
  } else {
    variables.push('LD_TRACE_LOADED_OBJECTS=1');
    const masked = `${loader} --glibc-hwcaps-mask ${levels.join(':')}`;
    command = `${level === undefined ? '' : masked} ${program}`;
  }
  if (machine.emulator !== undefined) {
    const set = variables.map((variable) => `-E ${variable}`).join(' ');
    command = `exec busybox chroot ${root} /emulator ${set} ${command}`;
  } else {
    command = `${variables.join(' ')} exec busybox chroot ${root} ${command}`;
  }
  // A loader started by the kernel uses /proc if available. busybox is static, so that variables
  // for the loader in the root do not affect it.
  const script = `cd / && mkdir -p ${root}/proc && mount -t proc proc ${root}/proc && ${command}`;
  return askLoader(['unshare', '--mount', 'busybox', 'sh', '-c', script], loader, process.env);
}

function isMusl(root: string, loader: string): boolean {
  return (linkTo(root + loader) ?? loader).includes('ld-musl');
}

/** Whether the loader can be made to detect the processor of a case. */
function isSupported({ level }: Case, { cpu }: RuleMachine): boolean {
  return level === undefined || level === '' || cpu.levels.includes(level);
}

/** glibc's platform for newer processors, which the expected answers do not cover. */
const NEWER_PLATFORMS: ReadonlySet<string | undefined> = new Set(['haswell', 'xeon_phi']);

/** The processor with the platform that every x86-64 kernel reports, as in the expected answers. */
function withBaselinePlatform(cpu: Cpu): Cpu {
  if (!NEWER_PLATFORMS.has(cpu.platform)) return cpu;
  return {
    ...cpu,
    platform: 'x86_64',
    legacy: cpu.legacy.filter((name) => !NEWER_PLATFORMS.has(name)),
  };
}

/** Returns the processor of a level, as far as the loader of this machine supports it. */
function cpuFor(level: string, { cpu, loaders }: RuleMachine, loader: string): Cpu {
  const abi = new OurLoader().parse(loaders[loader] ?? loader).elf.headers;
  return { ...cpu, levels: level === '' ? [] : cpuOfLevel(abi, level).levels };
}

/** Returns jailbuild's answer in the form of the expected lines. */
function answer(list: LoaderList): string[] {
  if (list.error !== undefined) return [`error: ${list.error}`];
  return [
    ...list.found.map((line) => line.replace(/ => (?!\/)/, ' => /')),
    ...list.missing.map((name) => `${name} => not found`),
  ];
}

async function check(root: string, one: Case, machine: RuleMachine): Promise<void> {
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
  const listFor = (on: RuleMachine) =>
    ours.list(program, () => (level === undefined ? on.cpu : cpuFor(level, on, loader)));
  const title = `${program} ${level ?? ''} ${libraryPath}`;
  const list = listFor({ ...machine, cpu: withBaselinePlatform(machine.cpu) });
  const [first = ''] = lines;
  const theirs = isSupported(one, machine) ? await ask(root, one, loader, machine) : undefined;
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
  if (theirs !== undefined) {
    // A missing library is reported by its baseline name.
    const names = answer(theirs).map((line) =>
      line.replace(/^(?:haswell|xeon_phi)(?=\S* => not found$)/, machine.name),
    );
    assert.deepEqual(answer(listFor(machine)), names, title);
  }
  assert.deepEqual(
    list.rules,
    lines.flatMap((line) => / \[(.*)\]$/.exec(line)?.[1] ?? []),
    title,
  );
}

function checkClosure(
  root: string,
  { cases, closure, warnings }: Rule,
  { loaders }: RuleMachine,
): void {
  if (closure === undefined && warnings.length === 0) return;
  const programs = [...new Set(cases.map(({ program }) => program))];
  const result = resolve({ programs, sysroot: root, terminfo: 'none', ldCache: 'copy' });
  const libraries = result.files
    .filter(({ path: file, stat }) => /\.so(\.\d+)*$/.test(file) && stat.type !== 'directory')
    .map(({ path: file }) => file)
    .filter((file) => !(file in loaders));
  if (closure !== undefined) assert.deepEqual(libraries, closure);
  for (const warning of warnings) {
    assert.ok(
      result.warnings.some((line) => line.startsWith(warning)),
      result.warnings.join('\n'),
    );
  }
}

/**
 * Builds a jail from the root for all programs with the same library path: inside, the loader must
 * give the same answers as in the root, on each processor that it can be made to detect.
 */
async function checkJails(root: string, { cases }: Rule, machine: RuleMachine): Promise<void> {
  const started = cases.filter(
    ({ program, lines, inJail }) =>
      inJail &&
      !lines[0]?.startsWith('error: ') &&
      new OurLoader(root).parse(program).elf.interpreter !== undefined,
  );
  const paths = new Set(started.map(({ libraryPath }) => libraryPath.join(':')));
  for (const libraryPath of paths) {
    const asked = started.filter((one) => one.libraryPath.join(':') === libraryPath);
    const request = {
      programs: [...new Set(asked.map(({ program }) => program))],
      sysroot: root,
      terminfo: 'none',
      ...(libraryPath === '' ? {} : { libraryPath: libraryPath.split(':') }),
    } as const;
    const jail = path.join(tempDir(), 'jail');
    await build(request, jail, { allowMissing: true, noSync: true, record: false });
    addEmulator(jail, machine.emulator);
    for (const one of asked) {
      const loader = new OurLoader(root).parse(one.program).elf.interpreter;
      if (loader === undefined || !isSupported(one, machine)) continue;
      assert.deepEqual(
        answer(await ask(jail, one, loader, machine)),
        answer(await ask(root, one, loader, machine)),
        `${one.program} ${one.level ?? ''} ${libraryPath} in a jail`,
      );
    }
  }
}
