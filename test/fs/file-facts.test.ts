import assert from 'node:assert/strict';
import {
  chmodSync,
  linkSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { beforeEach, describe, test } from 'node:test';
import { FileFacts } from '../../src/fs/file-facts.js';
import { isTrace, Sysroot } from '../../src/fs/sysroot.js';
import { tempDir } from '../support/temp-dir.js';

const SETTLED = 2100;

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

describe('facts of files', async () => {
  const directory = tempDir();
  const names = ['one', 'two', 'three'];
  const many = ['a', 'b', 'c', 'd', 'e'];
  for (const name of [...names, ...many]) writeFileSync(path.join(directory, name), name);
  await pause(SETTLED);

  const look = (name: string) => {
    const root = new Sysroot(directory);
    const found = root.trace(`/${name}`);
    assert.ok(isTrace(found));
    return { root, found };
  };
  let count = 0;
  /** A file of a cache. */
  let cache = '';
  beforeEach(() => {
    cache = path.join(directory, `cache${count++}/facts`);
  });
  const get = (name: string, as = 'me') => new FileFacts(cache, as).get(look(name).found.stat);
  /** Adds facts to those of earlier runs. */
  const add = (name: string, text: string) => {
    const facts = new FileFacts(cache, 'me');
    const { root, found } = look(name);
    const open = root.open(found);
    facts.add(found.stat, open, text);
    open.close();
    facts.save();
  };

  test('are found in later runs, with what those add', () => {
    for (const name of names) add(name, `of ${name}, ünd \udc80`.toWellFormed());
    for (const name of names) assert.equal(get(name), `of ${name}, ünd \ufffd`);
    assert.equal(statSync(cache).mode & 0o777, 0o600);
  });

  test('are not those of another version or user', () => {
    add('one', 'known');
    assert.equal(get('one'), 'known');
    assert.equal(get('one', 'other'), undefined);
  });

  test('are forgotten when a file changes, whatever its times', async () => {
    const file = path.join(directory, 'changing');
    writeFileSync(file, 'before');
    const { atime, mtime } = statSync(file);
    await pause(SETTLED);
    add('changing', 'of before');
    assert.equal(get('changing'), 'of before');
    writeFileSync(file, 'behind');
    utimesSync(file, atime, mtime);
    assert.equal(get('changing'), undefined);
  });

  test('are forgotten when a file is replaced by one of the same size and time', async () => {
    const file = path.join(directory, 'replaced');
    for (const name of [file, `${file}.new`]) {
      writeFileSync(name, 'same');
      utimesSync(name, 1000, 1000);
    }
    await pause(SETTLED);
    add('replaced', 'of the old one');
    renameSync(`${file}.new`, file);
    assert.equal(get('replaced'), undefined);
  });

  test('are replaced if they depend on more than the file', () => {
    add('one', 'of one');
    for (const text of ['first', 'second']) {
      const facts = new FileFacts(cache, 'me');
      facts.replace(look('one').found.stat, text, ' more');
      facts.save();
      const kept = new FileFacts(cache, 'me');
      assert.equal(kept.get(look('one').found.stat, ' more'), text);
      assert.equal(kept.get(look('one').found.stat), 'of one');
    }
  });

  test('are not kept of a file that changed a moment ago', () => {
    writeFileSync(path.join(directory, 'new'), 'new');
    add('new', 'too early');
    assert.equal(get('new'), undefined);
  });

  test('are not kept of a file that changed between lstat(2) and reading', async () => {
    const file = path.join(directory, 'raced');
    writeFileSync(file, 'first');
    await pause(SETTLED);
    const facts = new FileFacts(cache, 'me');
    const { root, found } = look('raced');
    writeFileSync(file, 'other');
    const open = root.open(found);
    facts.add(found.stat, open, 'of which?');
    open.close();
    facts.save();
    assert.equal(get('raced'), undefined);
    assert.equal(new FileFacts(cache, 'me').get(found.stat), undefined);
  });

  test('are of the file, whatever its name', () => {
    add('two', 'of two');
    symlinkSync('two', path.join(directory, 'link'));
    assert.equal(get('link'), 'of two');
  });

  test('are not lost by runs at once', () => {
    const runs = ['one', 'three'].map((name) => ({ name, facts: new FileFacts(cache, 'me') }));
    for (const { name, facts } of runs) {
      const { root, found } = look(name);
      const open = root.open(found);
      facts.add(found.stat, open, name);
      open.close();
    }
    for (const { facts } of runs) facts.save();
    assert.deepEqual([get('one'), get('three')], ['one', 'three']);
  });

  test('are right or absent after any damage', () => {
    add('one', 'first');
    add('three', 'second');
    const whole = readFileSync(cache);
    let used = 0;
    for (let bit = 0; bit < whole.length * 8; bit += 9) {
      const bytes = Buffer.from(whole);
      bytes.writeUInt8(bytes.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
      writeFileSync(cache, bytes);
      const found = [get('one'), get('three')];
      used += found.filter((text) => text !== undefined).length;
      assert.ok(
        [undefined, 'first'].includes(found[0]) && [undefined, 'second'].includes(found[1]),
        `bit ${bit}: ${found}`,
      );
      assert.ok(found.includes(undefined), `bit ${bit} is not noticed`);
    }
    assert.ok(used > 0);
    for (let length = 0; length < whole.length; length += 7) {
      writeFileSync(cache, whole.subarray(0, length));
      assert.equal(get('three'), undefined);
    }
    add('three', 'again');
    assert.equal(get('three'), 'again');
  });

  for (const [title, harm] of [
    ['that others can read', () => chmodSync(cache, 0o644)],
    ['in a directory that others can write', () => chmodSync(path.dirname(cache), 0o777)],
    ['with another name', () => linkSync(cache, `${cache}.link`)],
  ] as const) {
    test(`are not read from a file ${title}`, () => {
      add('one', 'mine');
      assert.equal(get('one'), 'mine');
      harm();
      assert.equal(get('one'), undefined);
    });
  }

  test('are bounded', () => {
    const text = 'x'.repeat(4 << 20);
    for (const name of many) add(name, text);
    assert.ok(statSync(cache).size <= 16 << 20);
    assert.deepEqual(
      many.map((name) => get(name) === text),
      [false, false, true, true, true],
    );
    add('one', `${text}x`);
    assert.equal(get('one'), undefined);
  });
});
