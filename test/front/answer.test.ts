import assert from 'node:assert/strict';
import {
  appendFileSync,
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { before, describe, test } from 'node:test';
import { exec, type Finished, jailbuild } from '../support/cli.js';
import { needs, needsThat } from '../support/need.js';
import { until } from '../support/process.js';
import { tempDir } from '../support/temp-dir.js';
import { ENVIRONMENT, FRONT, NEEDS_FRONT } from './support.js';

const directory = tempDir();
const [sysroot, jail, bin] = ['sysroot', 'jail', 'bin'].map((name) => `${directory}/${name}`) as [
  string,
  string,
  string,
];
const [starts, cache] = [`${directory}/starts`, `${directory}/cache`];
const answers = `${cache}/jailbuild/answers`;
const ENV = {
  ...ENVIRONMENT,
  PATH: `${bin}:${ENVIRONMENT.PATH}`,
  XDG_CACHE_HOME: cache,
  XDG_STATE_HOME: `${directory}/state`,
};

/** A command that ended, and how often it started Node. */
interface Answered extends Finished {
  readonly started: number;
}

function front(
  words: readonly string[],
  options: { env?: NodeJS.ProcessEnv; cwd?: string } = {},
): Answered {
  const count = () => readFileSync(starts, 'utf8').length;
  const begun = count();
  const finished = exec(FRONT, words, { env: ENV, ...options });
  return { ...finished, started: count() - begun };
}

const BUILD = [jail, 'ls', 'cat', '--sysroot', sysroot];
const TREE = ['tree', '/usr/bin/ls', '--sysroot', sysroot];

/** Repeats a command until Node is not needed for it: files must not have changed within the last seconds. */
async function answered(words: readonly string[]): Promise<Answered> {
  return until(() => {
    const result = front(words);
    assert.equal(result.status, 0, result.stderr);
    return result.started === 0 && result;
  }, 'the command is answered without Node');
}

describe('the answer to a repeated command', { ...NEEDS_FRONT, ...needs('sh') }, () => {
  before(() => {
    mkdirSync(bin);
    mkdirSync(cache, { mode: 0o700 });
    writeFileSync(starts, '');
    const script = `#!/bin/sh\nprintf x >> ${starts}\nexec ${process.execPath} "$@"\n`;
    writeFileSync(`${bin}/node`, script, { mode: 0o755 });
    assert.equal(jailbuild([sysroot, 'ls', 'cat', 'env', '--no-record', '-q']).status, 0);
    assert.equal(front([...BUILD, '-q']).started, 1);
  });

  test('is that of Node, without Node', async () => {
    for (const words of [
      BUILD,
      [...BUILD, '--json'],
      [...BUILD, '--quiet'],
      ['update', jail],
      ['update', jail, '--json'],
      TREE,
      [...TREE, '--size'],
    ]) {
      const [byFront, byNode] = [await answered(words), jailbuild(words, { env: ENV })];
      assert.deepEqual([byFront.stdout, byFront.stderr], [byNode.stdout, byNode.stderr]);
      assert.equal(byFront.status, 0);
    }
    assert.equal(statSync(answers).mode & 0o777, 0o700);
  });

  test('is for the same words, directory and environment alone', async () => {
    await answered(TREE);
    for (const [words, options] of [
      [['tree', '/usr/bin/cat', '--sysroot', sysroot], {}],
      [TREE, { cwd: directory }],
      [TREE, { env: { ...ENV, LD_LIBRARY_PATH: '/none' } }],
      [[...TREE, '--no-cache'], {}],
      [[...TREE, '--no-cache'], {}],
    ] as const) {
      assert.equal(front(words, options).started, 1);
    }
    assert.equal(front(TREE, { env: { ...ENV, OLDPWD: '/', SHLVL: '9' } }).started, 0);
  });

  const library = () => {
    const found = /\/\S*libc\.so\.6/.exec(front(TREE).stdout)?.[0];
    assert.ok(found !== undefined);
    return sysroot + found;
  };

  const changes: readonly (readonly [string, readonly string[], () => void])[] = [
    ['a library of the host has another time', TREE, () => utimesSync(library(), 1, 1)],
    ['a library of the host has another time', BUILD, () => utimesSync(library(), 2, 2)],
    [
      'a library is replaced by another of the same size and time',
      TREE,
      () => {
        const [file, { atime, mtime }] = [library(), statSync(library())];
        copyFileSync(file, `${file}.new`);
        utimesSync(`${file}.new`, atime, mtime);
        renameSync(`${file}.new`, file);
      },
    ],
    ['a file of the jail is changed', BUILD, () => appendFileSync(`${jail}/usr/bin/ls`, 'x')],
    ['a file of the jail is removed', BUILD, () => rmSync(`${jail}/usr/bin/cat`)],
    ['a file of the jail has another mode', BUILD, () => chmodSync(`${jail}/usr/bin/cat`, 0o711)],
    ['the fingerprint is gone', BUILD, () => rmSync(`${jail}/.jailbuild/fingerprint`)],
    [
      'an interrupted build left its record',
      BUILD,
      () => copyFileSync(`${jail}/.jailbuild/record.json`, `${jail}/.jailbuild/record.json.new`),
    ],
    ['an interrupted build left its stage', BUILD, () => mkdirSync(`${jail}/.jailbuild/stage`)],
    [
      'another build changes the record',
      BUILD,
      () => assert.equal(front([jail, 'env', '--sysroot', sysroot, '-q']).status, 0),
    ],
    [
      'the answers are damaged',
      TREE,
      () => each((file) => truncateSync(file, statSync(file).size - 9)),
    ],
    [
      'one bit of each answer is another',
      TREE,
      () =>
        each((file) => {
          const bytes = readFileSync(file);
          bytes.writeUInt8(bytes.readUInt8(bytes.length - 99) ^ 4, bytes.length - 99);
          writeFileSync(file, bytes);
        }),
    ],
    ['the answers begin with another format', TREE, () => each((file) => writeFileSync(file, 'x'))],
    ['others may read or write the answers', TREE, () => each((file) => chmodSync(file, 0o644))],
    ['others may write to the cache', TREE, () => chmodSync(cache, 0o777)],
  ];

  const each = (action: (file: string) => void) => {
    const names = readdirSync(answers);
    assert.ok(names.length > 0);
    for (const name of names) action(path.join(answers, name));
  };

  for (const [what, words, change] of changes) {
    test(`is Node's if ${what}: ${words[0] === 'tree' ? 'tree' : 'build'}`, async () => {
      await answered(words);
      change();
      const result = front(words);
      assert.equal(result.started, 1);
      chmodSync(cache, 0o700);
      // Node has restored the jail, and its answer is the one that is given now.
      const [byFront, byNode] = [await answered(words), jailbuild(words, { env: ENV })];
      assert.equal(byFront.stdout, byNode.stdout);
    });
  }

  test('is not given if a library appears where the loader looks first', async () => {
    const words = [...TREE, '--library-path', '/opt/lib'];
    await answered(words);
    mkdirSync(`${sysroot}/opt/lib`, { recursive: true });
    copyFileSync(library(), `${sysroot}/opt/lib/libc.so.6`);
    const { started, stdout } = front(words);
    assert.equal(started, 1);
    assert.match(stdout, /\/opt\/lib\/libc\.so\.6/);
    rmSync(`${sysroot}/opt`, { recursive: true });
  });

  test('is not given for a jail that was run with privileges that let it change its record', async () => {
    await answered(BUILD);
    const { ino } = statSync(jail);
    const notes = process.getuid?.() === 0 ? '/var/lib/jailbuild' : `${directory}/state/jailbuild`;
    const note = `${notes}/unprotected/${ino}`;
    mkdirSync(path.dirname(note), { recursive: true, mode: 0o700 });
    appendFileSync(note, `${jail}\0`);
    try {
      const { started, status, stderr } = front(BUILD);
      assert.deepEqual([started, status], [1, 1]);
      assert.match(stderr, /was run with privileges/);
    } finally {
      rmSync(note);
    }
  });

  test('is not stored for a jail file, output to further files, or more detail', async () => {
    const file = `${directory}/jail.yaml`;
    writeFileSync(file, `root: ${jail}\nsysroot: ${sysroot}\nprograms: [ls, cat]\n`);
    await answered(BUILD);
    for (const words of [
      [...BUILD, '--manifest', `${directory}/manifest.json`],
      [...BUILD, '--depfile', `${directory}/depfile`],
      [...BUILD, '--verbose'],
      ['--file', file],
    ]) {
      const first = front(words);
      assert.equal(first.status, 0, `${words}: ${first.stderr}`);
      assert.equal(front(words).started, 1, words.join(' '));
    }
  });

  test(
    'that cannot be written is an error',
    needsThat('/dev/full', () => existsSync('/dev/full')),
    async () => {
      await answered(TREE);
      const script = '"$0" "$@" > /dev/full';
      const { status, stderr } = exec('sh', ['-c', script, FRONT, ...TREE], { env: ENV });
      assert.equal(stderr, 'jailbuild: standard output: no space left on device\n');
      assert.equal(status, 1);
    },
  );
});
