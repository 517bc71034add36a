import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  copyFileSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { describe, type TestContext, test } from 'node:test';
import { parseElf } from '../../src/elf/parse.js';
import { keyOf } from '../../src/fs/file-facts.js';
import { BufferReader } from '../../src/fs/file-reader.js';
import { nativeProgram } from '../../src/fs/native-program.js';
import { isTrace, Sysroot } from '../../src/fs/sysroot.js';
import { useFront } from '../../src/jail/engine/front-connection.js';
import { readSourceFacts } from '../../src/jail/engine/source-facts.js';
import { ObjectTable } from '../../src/loader/objects.js';
import { textOfFile } from '../../src/resolve/process/facts-text.js';
import { RuntimeFacts, WATCHED } from '../../src/resolve/process/runtime-facts.js';
import { mutantsOf } from '../campaign/fuzz.js';
import { ENVIRONMENT, FRONT, NEEDS_FRONT } from '../front/support.js';
import { JAILBUILD } from '../support/cli.js';
import { type ElfParts, makeElf } from '../support/make-elf.js';
import { needs } from '../support/need.js';
import { scratch } from './support.js';

const ENGINE = nativeProgram('jail_engine').found;
const NEEDS_ENGINE = { skip: ENGINE === undefined ? 'needs the native writer' : false };

/** Makes a native writer take the place of the front. */
function withFront(t: TestContext): string {
  const directory = scratch(t);
  execFileSync('mkfifo', [`${directory}/requests`, `${directory}/replies`]);
  const script = `exec ${ENGINE} <${directory}/requests >${directory}/replies`;
  const child = spawn('sh', ['-c', script], { stdio: 'ignore' });
  const requests = openSync(`${directory}/requests`, 'w');
  const replies = openSync(`${directory}/replies`, 'r');
  useFront({ requests, replies });
  t.after(() => {
    useFront(undefined);
    closeSync(requests);
    closeSync(replies);
    child.kill();
  });
  return directory;
}

/** Returns what native code reads of files, by what identifies them. */
function readNatively(prefix: string, paths: readonly string[]): ReadonlyMap<string, string> {
  const read = readSourceFacts(prefix);
  assert.ok(read !== undefined);
  return new Map(read(paths, WATCHED.all).map(({ key, text }) => [key, text]));
}

/** Returns what identifies a file, and what Node reads of it: no text for a file with a problem. */
function readByNode(root: Sysroot, path: string): { readonly key: string; readonly text?: string } {
  const trace = root.trace(path);
  assert.ok(isTrace(trace), path);
  const facts = new RuntimeFacts(() => undefined);
  let text: string | undefined;
  const objects = new ObjectTable(root, undefined, (source, elf, found) => {
    if (facts.read(source, elf, found)) {
      text = textOfFile({ elf, facts: facts.ofRead(found.stat.identity) });
    }
  });
  objects.look(trace);
  const key = keyOf(trace.stat) ?? '';
  return text === undefined ? { key } : { key, text };
}

/** Checks that native code reads nothing else than Node, and returns how many files it reads. */
function compare(prefix: string, paths: readonly string[]): { natively: number; byNode: number } {
  const natively = readNatively(prefix, paths);
  const root = new Sysroot(prefix || '/');
  let [same, byNode] = [0, 0];
  for (const path of paths) {
    const { key, text } = readByNode(root, path);
    if (text !== undefined) byNode++;
    if (!natively.has(key)) continue;
    assert.equal(natively.get(key), text, path);
    same++;
  }
  assert.equal(same, natively.size);
  return { natively: same, byNode };
}

function elfFiles(directory: string): string[] {
  return readdirSync(directory, { withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ name }) => `${directory}/${name}`)
    .filter(
      (path) => statSync(path).size > 64 && readFileSync(path, 'latin1').startsWith('\x7fELF'),
    );
}

describe('facts of ELF files that native code reads', NEEDS_ENGINE, () => {
  test('they are what Node reads, for nearly all programs and libraries of this machine', (t) => {
    withFront(t);
    const libraries = readFileSync('/proc/self/maps', 'utf8').match(/\/\S*\/(?=libc\.so)/)?.[0];
    assert.ok(libraries !== undefined);
    const files = [...elfFiles('/usr/bin'), ...elfFiles(libraries.slice(0, -1))];
    // Every third, so that the test is short.
    const { natively, byNode } = compare(
      '',
      files.filter((_, index) => index % 3 === 0),
    );
    assert.ok(natively > byNode * 0.95, `${natively} of ${byNode}`);
  });

  test('no mutant of a file is read otherwise than by Node', (t) => {
    const directory = withFront(t);
    mkdirSync(`${directory}/root`);
    const paths: string[] = [];
    const loader = parseElf(new BufferReader(readFileSync('/bin/true'), '/bin/true')).interpreter;
    for (const seed of ['/bin/true', loader ?? '/bin/false']) {
      for (const bytes of mutantsOf(readFileSync(seed), 400, 7)) {
        const path = `/mutant-${paths.length}`;
        writeFileSync(`${directory}/root${path}`, bytes);
        paths.push(path);
      }
    }
    const { natively, byNode } = compare(`${directory}/root`, paths);
    assert.ok(natively > 50 && byNode < paths.length, `${natively} of ${byNode}`);
  });

  test('files of other kinds, malformed ones and those with rare tags are left to Node', (t) => {
    const directory = withFront(t);
    const root = `${directory}/root`;
    mkdirSync(`${root}/sub`, { recursive: true });
    const NEEDED = 1;
    const made: Record<string, ElfParts> = {
      plain: { dynamic: [[NEEDED, 'libc.so.6']] },
      'not-ascii': { dynamic: [[NEEDED, 'lib\u00e4.so']] },
      quoted: { dynamic: [[NEEDED, 'lib".so']] },
      filter: { dynamic: [[0x7fffffff, 'libf.so']] },
      auxiliary: { dynamic: [[0x7ffffffd, 'libx.so']] },
      audit: { dynamic: [[0x6ffffefc, 'liba.so']] },
      'two-names': {
        dynamic: [
          [14, 'one.so'],
          [14, 'two.so'],
        ],
      },
      narrow: { class: 32, dynamic: [[NEEDED, 'libc.so.6']] },
      big: { byteOrder: 'big', dynamic: [[NEEDED, 'libc.so.6']] },
      dlopen: {
        dynamic: [[NEEDED, 'libc.so.6']],
        notes: [{ owner: 'FDO', type: 0x407c0c0a, description: '[{"soname":["liba.so"]}]' }],
      },
    };
    for (const [name, parts] of Object.entries(made)) {
      writeFileSync(`${root}/${name}`, makeElf(parts).bytes);
    }
    writeFileSync(`${root}/empty`, '');
    writeFileSync(`${root}/script`, '#!/bin/sh\n');
    writeFileSync(`${root}/cut`, makeElf(made.plain ?? {}).bytes.subarray(0, 100));
    execFileSync('mkfifo', [`${root}/fifo`]);
    symlinkSync('plain', `${root}/link`);
    symlinkSync('.', `${root}/way`);
    const names = [...Object.keys(made), 'empty', 'script', 'cut', 'fifo', 'link', 'way/plain'];
    const read = readNatively(
      root,
      [...names, 'absent', 'sub'].map((name) => `/${name}`),
    );
    const plain = readByNode(new Sysroot(root), '/plain');
    assert.ok(plain.text !== undefined);
    assert.deepEqual([...read], [[plain.key, plain.text]]);
  });

  test('names imported by a file are those asked for, in order', (t) => {
    const directory = withFront(t);
    mkdirSync(`${directory}/root`);
    copyFileSync('/bin/sh', `${directory}/root/sh`);
    const read = readSourceFacts(`${directory}/root`);
    const importsOf = (names: readonly string[]): unknown =>
      JSON.parse(read?.(['/sh'], names)[0]?.text ?? '').facts.imports;
    assert.deepEqual(importsOf(['fork', 'no_such_function']), ['fork']);
    assert.deepEqual(importsOf([]), []);
  });

  test('the front serves again after a session, and a front that is gone is no error', (t) => {
    const directory = withFront(t);
    const [path] = ['/bin/true'];
    const real = execFileSync('realpath', [path], { encoding: 'utf8' }).trim();
    assert.equal(readNatively('', [real]).size, 1);
    assert.equal(readNatively('', [real]).size, 1);
    useFront(undefined);
    assert.equal(readSourceFacts(''), undefined);
    rmSync(`${directory}/requests`);
  });
});

test('the front and Node alone print the same tree', NEEDS_FRONT, (t) => {
  const directory = scratch(t);
  chmodSync(directory, 0o700);
  const env = { ...ENVIRONMENT, XDG_CACHE_HOME: directory };
  const programs = readdirSync('/usr/bin')
    .filter((_, index) => index % 20 === 0)
    .map((name) => `/usr/bin/${name}`)
    .filter((path) => statSync(path, { throwIfNoEntry: false })?.isFile());
  const run = (command: readonly string[], ...options: readonly string[]) => {
    const [file = '', ...args] = [...command, 'tree', '--json', '--allow-missing', ...options];
    return execFileSync(file, [...args, ...programs], { env, maxBuffer: 1 << 28 });
  };
  const alone = run([process.execPath, JAILBUILD], '--no-cache');
  assert.ok(alone.equals(run([FRONT], '--no-cache')));
  // The first run stores what was read; the second uses it.
  assert.ok(alone.equals(run([FRONT])));
  assert.ok(alone.equals(run([process.execPath, JAILBUILD])));
});

const NEEDS_STRACE = NEEDS_FRONT.skip === false ? needs('strace') : { skip: NEEDS_FRONT.skip };

test(
  'the front reads programs and their libraries, so that Node does not open them',
  NEEDS_STRACE,
  (t) => {
    const directory = scratch(t);
    const trace = `${directory}/trace`;
    const env = { ...ENVIRONMENT, XDG_CACHE_HOME: directory };
    const words = ['-f', '-qq', '-e', 'trace=openat,openat2,execve', '-o', trace, FRONT];
    execFileSync('strace', [...words, 'tree', '--no-cache', 'bash', 'ls'], {
      env,
      stdio: 'ignore',
    });
    const lines = readFileSync(trace, 'utf8').split('\n');
    const opened = (call: string) => lines.filter((line) => line.includes(`${call}(`)).join('\n');
    assert.match(opened('openat2'), /"usr\/bin\/bash"/);
    assert.match(opened('openat2'), /libselinux\.so|libtinfo\.so/);
    assert.doesNotMatch(opened('openat'), /"\/usr\/bin\/(bash|ls)"/);
  },
);
