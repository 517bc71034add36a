import assert from 'node:assert/strict';
import {
  chmodSync,
  chownSync,
  cpSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { openNativeEngine } from '../../src/jail/engine/open.js';
import { holds } from '../../src/jail/record/fingerprint.js';
import {
  absentBlocks,
  blockHolds,
  directoryBlocks,
  entriesOf,
  entryBlocks,
  fileBlocks,
  listBlocks,
  numbersOf,
  type PlannedFile,
  pathsIn,
  type StateBlock,
  stampBlocks,
} from '../../src/jail/record/state-blocks.js';
import { readStateFile, stateFileParts } from '../../src/jail/record/state-file.js';
import { needsRoot } from '../support/need.js';
import { tempDir } from '../support/temp-dir.js';

const NON_UTF8 = '/d\udcff';

/** Creates a tree with every entry type, and blocks that describe it. */
function made() {
  const root = path.join(tempDir(), 'tree');
  mkdirSync(`${root}/bin`, { recursive: true });
  mkdirSync(Buffer.concat([Buffer.from(`${root}/d`), Buffer.of(0xff)]));
  writeFileSync(`${root}/bin/a`, 'aaaa');
  linkSync(`${root}/bin/a`, `${root}/bin/b`);
  symlinkSync('a', `${root}/bin/l`);
  const paths = ['', '/bin', '/bin/a', '/bin/b', '/bin/l'];
  const files = paths.map((at) => ({ path: at || '/', stat: lstatSync(root + at) }));
  const planned = files.map(({ path: at, stat }): PlannedFile => {
    const { mode, uid, gid, mtimeMs: mtime, size } = stat;
    return {
      ...{ path: at, mode, owner: { uid, gid }, mtime, size },
      ...(at === '/bin/l' ? { target: 'a' } : {}),
      ...(at === '/bin/b' ? { hardlink: '/bin/a' } : {}),
    };
  });
  const host = [
    ...fileBlocks(files.map(({ path: at, stat }) => ({ path: at, numbers: numbersOf(stat) }))),
    ...stampBlocks([{ path: '/bin', numbers: numbersOf(lstatSync(`${root}/bin`)) }]),
    ...directoryBlocks(['/bin', NON_UTF8]),
    ...absentBlocks(['/none', '/none/\udcfe']),
    ...listBlocks(
      new Map([
        ['/bin', ['l', 'a', 'b']],
        ['/', [NON_UTF8.slice(1), 'bin']],
      ]),
    ),
  ];
  const recorded = BigInt(Date.now() + 60_000) * 1_000_000n;
  return { root, host, jail: [...entryBlocks(planned)], recorded };
}

/** Returns the result of the native writer and Node, which must agree. */
async function isSame(
  root: string,
  host: readonly StateBlock[],
  jail: readonly StateBlock[],
  recorded: bigint,
): Promise<boolean> {
  const engine = await openNativeEngine(root, root);
  assert.ok(engine !== undefined);
  const checks = [
    ...host.map((block) => ({ block, isOfJail: false })),
    ...jail.map((block) => ({ block, isOfJail: true })),
  ];
  const native = await engine.holds(checks, recorded);
  await engine.close();
  const inNode = holds(() =>
    checks.every(({ block }) => blockHolds(block, root, Number(recorded) / 1e6)),
  );
  assert.equal(native, inNode);
  return native;
}

describe('state blocks', needsRoot(), () => {
  test('hold if nothing has changed, also for hundreds of files', async () => {
    const { root, host, jail, recorded } = made();
    assert.equal(await isSame(root, host, jail, recorded), true);
    const names = Array.from({ length: 1500 }, (_, index) => `/bin/n${index}`);
    for (const name of names) writeFileSync(root + name, name);
    const many = [
      ...fileBlocks(
        names.map((name) => ({ path: name, numbers: numbersOf(lstatSync(root + name)) })),
      ),
    ];
    assert.equal(await isSame(root, many, absentBlocks(names.map((name) => `${name}x`)), 0n), true);
    writeFileSync(`${root}/bin/n1400`, 'another');
    assert.equal(await isSame(root, many, [], 0n), false);
    rmSync(`${root}/bin/n1400`);
    assert.equal(await isSame(root, many, [], 0n), false);
    assert.equal(await isSame(root, [], absentBlocks(names), 0n), false);
  });

  const again = (file: string) => {
    cpSync(file, `${file}.new`, { preserveTimestamps: true });
    const { atime, mtime, uid, gid } = lstatSync(file);
    chownSync(`${file}.new`, uid, gid);
    utimesSync(`${file}.new`, atime, mtime);
    renameSync(`${file}.new`, file);
  };
  const changes: Record<string, (root: string) => void> = {
    'another mode': (root) => chmodSync(`${root}/bin/a`, 0o600),
    'another owner': (root) => chownSync(`${root}/bin/a`, 7, 7),
    'another time': (root) => utimesSync(`${root}/bin/a`, 1, 1),
    'another size': (root) => writeFileSync(`${root}/bin/a`, 'aa'),
    'a hard link replaced by a separate file': (root) => again(`${root}/bin/b`),
    'a link with another target': (root) => {
      rmSync(`${root}/bin/l`);
      symlinkSync('b', `${root}/bin/l`);
    },
    'a removed file': (root) => rmSync(`${root}/bin/b`),
    'a file replaced by a directory': (root) => {
      rmSync(`${root}/bin/a`);
      mkdirSync(`${root}/bin/a`);
    },
    'another mode of a directory': (root) => chmodSync(`${root}/bin`, 0o700),
  };
  for (const [what, change] of Object.entries(changes)) {
    test(`do not hold for ${what}`, async () => {
      const { root, host, jail, recorded } = made();
      change(root);
      assert.equal(await isSame(root, [], jail, recorded), false);
      assert.equal(await isSame(root, host, [], recorded), false);
    });
  }

  test('do not hold for a new or renamed entry', async () => {
    const { root, host, recorded } = made();
    writeFileSync(`${root}/none`, '');
    assert.equal(await isSame(root, host, [], recorded), false);
    assert.equal(await isSame(root, absentBlocks(['/none/below']), [], recorded), false);
    rmSync(`${root}/none`);
    const { root: other, host: states } = made();
    mkdirSync(`${other}/more`);
    assert.equal(await isSame(other, listOf(states), [], recorded), false);
  });

  test('of stamps do not hold for a directory with other entries, whatever its time', async () => {
    const { root } = made();
    utimesSync(`${root}/bin`, 1, 1);
    const numbers = numbersOf(lstatSync(`${root}/bin`));
    const [stamps, files] = [stampBlocks, fileBlocks].map((blocks) => [
      ...blocks([{ path: '/bin', numbers }]),
    ]);
    assert.equal(await isSame(root, stamps ?? [], [], 0n), true);
    rmSync(`${root}/bin/l`);
    symlinkSync('b', `${root}/bin/l`);
    utimesSync(`${root}/bin`, 1, 1);
    assert.equal(await isSame(root, files ?? [], [], 0n), true);
    assert.equal(await isSame(root, stamps ?? [], [], 0n), false);
  });

  test('do not hold for a file changed after the record was made, even if it looks the same', async () => {
    const { root, jail } = made();
    const { ctimeNs } = lstatSync(`${root}/bin/a`, { bigint: true });
    // Node returns times as doubles in milliseconds, with steps of 0.25 µs.
    assert.equal(await isSame(root, [], jail, ctimeNs + 1_000n), true);
    assert.equal(await isSame(root, [], jail, ctimeNs - 1_000_000n), false);
  });

  test('list the entries and the examined paths', () => {
    const { jail, host } = made();
    assert.deepEqual(pathsIn(host), {
      found: ['/', '/bin', '/bin/a', '/bin/b', '/bin/l'],
      absent: ['/none', '/none/\udcfe'],
      listed: ['/bin', '/bin', '/'],
    });
    assert.deepEqual(
      [...entriesOf(jail)].map(({ path: at }) => at),
      ['/', '/bin', '/bin/a', '/bin/b', '/bin/l'],
    );
  });

  test('are read back from a file, but not from a damaged one', () => {
    const { host, jail } = made();
    const bytes = Buffer.concat([...stateFileParts({ name: '\udcff' }, { host, jail })]);
    const file = readStateFile(bytes);
    assert.deepEqual(file, { head: { name: '\udcff' }, groups: { host, jail } });
    for (let at = 0; at < bytes.length; at += 7) {
      const damaged = Buffer.from(bytes);
      damaged.writeUInt8(damaged.readUInt8(at) ^ 4, at);
      assert.equal(readStateFile(damaged), undefined, String(at));
      assert.equal(readStateFile(bytes.subarray(0, at)), undefined, String(at));
    }
    assert.equal(readStateFile(readFileSync(process.execPath).subarray(0, 1000)), undefined);
  });
});

/** Returns the blocks that list names, which come last. */
function listOf(host: readonly StateBlock[]): readonly StateBlock[] {
  return host.slice(-1);
}
