import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { readCacheFile, storeCacheFile } from '../../src/fs/cache-directory.js';
import { insecureParent } from '../../src/fs/insecure-parent.js';
import { nativeProgram } from '../../src/fs/native-program.js';
import { needsRoot, onPath } from '../support/need.js';
import { tempDir } from '../support/temp-dir.js';

/** A group without members. */
const GROUP = 50_123;
const OTHER = 51_234;
const ENGINE = nativeProgram('jail_engine').found;
const NEEDS_ENGINE = ENGINE === undefined ? { skip: 'needs the native engine' } : {};

/** Returns a directory that a group without members may write to. */
function shared(): string {
  const directory = path.join(tempDir(), 'sh\u00e4red');
  mkdirSync(`${directory}/inner`, { recursive: true });
  chownSync(directory, 0, GROUP);
  chmodSync(directory, 0o775);
  return directory;
}

function setList(directory: string, entries: string): void {
  const { status, stderr } = spawnSync('setfacl', ['-m', entries, directory], { encoding: 'utf8' });
  assert.equal(status, 0, stderr);
}

/** Calls a function of a module in another process, whose file system a shell command changes first. */
function called(change: string, call: string, around: readonly string[] = []) {
  const module = (name: string) =>
    JSON.stringify(pathToFileURL(path.resolve(`src/fs/${name}.ts`)).href);
  const code = `
    const { insecureParent } = await import(${module('insecure-parent')});
    const { storeCacheFile } = await import(${module('cache-directory')});
    console.log(JSON.stringify(${call} ?? null));`;
  const node = [process.execPath, '--import', 'tsx', '--input-type=module', '-e', code];
  const line = ['-m', 'sh', '-c', `${change} exec "$@"`, ENGINE ?? '', ...around, ...node];
  const { status, stdout, stderr } = spawnSync('unshare', line, { encoding: 'utf8' });
  assert.equal(status, 0, stderr);
  return JSON.parse(stdout);
}

describe('a directory with an access control list', {
  ...needsRoot('setfacl'),
  ...NEEDS_ENGINE,
}, () => {
  const cases: readonly (readonly [entries: string, why: string | undefined])[] = [
    [`u:${OTHER}:rwx`, `is writable by uid ${OTHER}, by its access control list`],
    [`u:${OTHER}:rx,g:${OTHER}:rwx`, `is writable by gid ${OTHER}, by its access control list`],
    [`u:${OTHER}:rx,g:${OTHER}:rx,u:0:rwx,m::rwx`, undefined],
    [`u:${OTHER}:rwx,m::rx`, undefined],
  ];
  for (const [entries, why] of cases) {
    test(`with ${entries} ${why ?? 'is safe'}`, () => {
      const directory = shared();
      const file = path.join(directory, 'cache/jailbuild/file');
      storeCacheFile(file, 'text');
      setList(directory, entries);
      assert.deepEqual(
        insecureParent(`${directory}/inner`),
        why === undefined ? undefined : { path: directory, why },
      );
      assert.equal(
        readCacheFile(file, 100)?.toString(),
        why === undefined ? 'text' : undefined,
        'a cache is read only where nobody else could have written it',
      );
      storeCacheFile(path.join(directory, 'new/file'), 'text');
      assert.deepEqual(readdirSync(directory).includes('new'), why === undefined);
    });
  }

  test('is judged again after its list has changed', () => {
    const directory = shared();
    assert.equal(insecureParent(directory), undefined);
    setList(directory, `u:${OTHER}:rwx`);
    assert.equal(insecureParent(directory)?.path, directory);
    spawnSync('setfacl', ['-b', directory]);
    chmodSync(directory, 0o775);
    assert.equal(insecureParent(directory), undefined);
  });
});

describe('a directory that a group without members may write to', {
  ...needsRoot('unshare', 'mount'),
  ...NEEDS_ENGINE,
}, () => {
  test('is insecure if no list can be read', () => {
    const directory = shared();
    const change = 'mount --bind /dev/null "$0" &&';
    assert.deepEqual(called(change, `insecureParent(${JSON.stringify(directory)})`), {
      path: directory,
      why: `is writable by group ${GROUP} and perhaps, by an access control list that only the native programs can read, by others`,
    });
    const file = JSON.stringify(`${directory}/cache/file`);
    called(change, `storeCacheFile(${file}, 'text')`);
    assert.deepEqual(readdirSync(directory), ['inner']);
  });

  test('starts the native program once', { skip: !onPath('strace') && 'needs strace' }, () => {
    const directory = shared();
    const trace = path.join(tempDir(), 'trace');
    const asked = JSON.stringify([directory, `${directory}/inner`, directory]);
    const around = ['strace', '-f', '-e', 'trace=execve', '-o', trace];
    assert.deepEqual(called('', `${asked}.map(insecureParent)`, around), [null, null, null]);
    const started = readFileSync(trace, 'utf8').match(/execve\("[^"]*jail_engine".* = 0$/gm);
    assert.equal(started?.length, 1);
  });
});
