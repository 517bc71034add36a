import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { OperationError } from '../../src/jail/engine/engine.js';
import { openNativeEngine } from '../../src/jail/engine/open.js';
import type { Operation } from '../../src/jail/engine/operations.js';
import { refuseInsecure } from '../../src/jail/parents.js';
import { locateTarget } from '../../src/jail/target.js';
import { writeNewJail } from '../../src/jail/write/new-jail.js';
import { writeJail } from '../../src/jail/write/write.js';
import { exec, JAILBUILD, jailbuild } from '../support/cli.js';
import { needsRoot } from '../support/need.js';
import { BELOW_FOREIGN_ROOT, needsForeignRoot } from '../support/users.js';
import { manifestOf, scratch, snapshot } from './support.js';

/** Creates files outside of the jail with the names of planned files, and a host. */
function makePlaces(t: TestContext) {
  const outside = scratch(t);
  writeFileSync(path.join(outside, 'libc.so.6'), 'secret', { mode: 0o600 });
  writeFileSync(path.join(outside, 'old'), 'secret', { mode: 0o600 });
  const host = scratch(t);
  mkdirSync(path.join(host, 'usr/lib'), { recursive: true });
  mkdirSync(path.join(host, 'usr/bin'));
  writeFileSync(path.join(host, 'usr/lib/libc.so.6'), 'libc');
  writeFileSync(path.join(host, 'usr/lib/libm.so.6'), 'libm');
  writeFileSync(path.join(host, 'usr/bin/ls'), 'ls');
  return { outside, host, jail: scratch(t), untouched: snapshot(outside) };
}

describe('links planted in a jail do not lead outside', needsRoot(), () => {
  const plants: Record<string, (jail: string, outside: string) => void> = {
    'usr/lib': (jail, outside) => {
      mkdirSync(`${jail}/usr`);
      symlinkSync(outside, `${jail}/usr/lib`);
    },
    usr: (jail, outside) => symlinkSync(outside, `${jail}/usr`),
    'usr/lib/libc.so.6': (jail, outside) => {
      mkdirSync(`${jail}/usr/lib`, { recursive: true });
      symlinkSync(`${outside}/libc.so.6`, `${jail}/usr/lib/libc.so.6`);
    },
    '.jailbuild': (jail, outside) => symlinkSync(outside, `${jail}/.jailbuild`),
    '.jailbuild/stage': (jail, outside) => {
      mkdirSync(`${jail}/.jailbuild`, { mode: 0o700 });
      symlinkSync(outside, `${jail}/.jailbuild/stage`);
    },
    '.jailbuild/record.json.new': (jail, outside) => {
      mkdirSync(`${jail}/.jailbuild`, { mode: 0o700 });
      symlinkSync(`${outside}/old`, `${jail}/.jailbuild/record.json.new`);
    },
    'old/deep, which is to be removed': (jail, outside) => {
      symlinkSync(outside, `${jail}/deep`);
    },
  };
  for (const [name, plant] of Object.entries(plants)) {
    test(`a link at ${name}`, async (t) => {
      const { outside, host, jail, untouched } = makePlaces(t);
      plant(jail, outside);
      const manifest = manifestOf(host);
      const old = { type: 'file', path: '/deep/old', size: 6, mode: '0600', uid: 0, gid: 0 };
      const written = writeJail(manifest, jail, {
        sourceRoot: host,
        record: () => [Buffer.from('record')],
        removals: [{ ...old, type: 'file', mtime: '0.000000000', reasons: [] }],
      });
      await written.then(
        () => {
          // If the link was replaced, the jail is complete.
          assert.equal(readFileSync(`${jail}/usr/lib/libc.so.6`, 'utf8'), 'libc');
          assert.ok(lstatSync(`${jail}/usr/lib/libc.so.6`).isFile());
        },
        (error) => assert.match(error.code, /^(CONFLICT|TARGET_INSECURE)$/),
      );
      assert.deepEqual(snapshot(outside), untouched);
    });
  }

  test('a state directory of another user or writable by others is refused', async (t) => {
    for (const spoil of [
      (at: string) => chownSync(at, 1234, 1234),
      (at: string) => chmodSync(at, 0o770),
    ]) {
      const { host, jail } = makePlaces(t);
      mkdirSync(`${jail}/.jailbuild`, { mode: 0o700 });
      spoil(`${jail}/.jailbuild`);
      const before = snapshot(jail);
      await assert.rejects(writeJail(manifestOf(host), jail, { sourceRoot: host }), {
        code: 'TARGET_INSECURE',
      });
      assert.deepEqual(snapshot(jail), before);
    }
  });

  test('a staging directory that another user placed beside a new jail is refused', async (t) => {
    const { outside, host, jail, untouched } = makePlaces(t);
    chmodSync(jail, 0o1777);
    const stage = `${jail}/.new.jailbuild`;
    for (const plant of [
      () => symlinkSync(outside, stage),
      () => {
        exec('rm', ['-rf', stage]);
        mkdirSync(stage);
        chownSync(stage, 1234, 1234);
      },
    ]) {
      plant();
      await assert.rejects(writeJail(manifestOf(host), `${jail}/new`, { sourceRoot: host }), {
        code: 'TARGET_INSECURE',
        message: /is not a directory that only you own/,
      });
      assert.equal(existsSync(`${jail}/new`), false);
      assert.deepEqual(snapshot(outside), untouched);
    }
  });
});

function isLink(at: string): boolean {
  return lstatSync(at, { throwIfNoEntry: false })?.isSymbolicLink() ?? false;
}

/** Runs an action while another process keeps swapping a directory for a link to the outside. */
async function whileSwapping(
  jail: string,
  outside: string,
  action: () => Promise<void>,
): Promise<void> {
  const swap = `
    const fs = require('node:fs');
    process.chdir(process.argv[1]);
    const attempt = (action) => { try { action(); } catch {} };
    const end = Date.now() + 120_000;
    while (Date.now() < end) {
      // Who removes what is at usr/lib may have removed the link.
      attempt(() => fs.symlinkSync(process.argv[2], 'usr/link'));
      attempt(() => fs.renameSync('usr/lib', 'usr/real'));
      attempt(() => fs.renameSync('usr/link', 'usr/lib'));
      attempt(() => fs.renameSync('usr/lib', 'usr/link'));
      attempt(() => fs.renameSync('usr/real', 'usr/lib'));
    }`;
  const swapper = spawn(process.execPath, ['-e', swap, jail, outside], { stdio: 'ignore' });
  const ended = new Promise((resolve) => swapper.once('exit', resolve));
  try {
    while (!isLink(`${jail}/usr/lib`) && !isLink(`${jail}/usr/link`)) await pause(1);
    await action();
  } finally {
    // Before the directories are removed, which fails while they change.
    swapper.kill('SIGKILL');
    await ended;
  }
}

describe('a directory that is swapped for a link does not lead outside', needsRoot(), () => {
  test('operation by operation in the engine', async (t) => {
    const { outside, host, jail, untouched } = makePlaces(t);
    mkdirSync(`${jail}/usr/lib`, { recursive: true });
    const engine = await openNativeEngine(jail, host);
    assert.ok(engine, 'the native engine was not built');
    const attributes = { mode: 0o4777, owner: { uid: 1, gid: 1 }, mtime: '1.000000000' };
    const content = Buffer.from('x');
    const round: Operation[] = [
      { op: 'write', path: 'usr/lib/new', content, attributes },
      { op: 'mkdir', path: 'usr/lib/directory' },
      { op: 'symlink', path: 'usr/lib/symlink', target: 'x', attributes },
      { op: 'attributes', path: 'usr/lib', attributes },
      { op: 'rename', path: 'usr/lib/new', to: 'usr/lib/newer' },
      { op: 'exchange', path: 'usr/lib/newer', to: 'usr/lib/old' },
      { op: 'replace', path: 'usr/lib/newer', to: 'usr/lib/libc.so.6' },
      { op: 'link', path: 'usr/lib/secret', to: 'usr/lib/libc.so.6' },
      { op: 'unlink', path: 'usr/lib/libc.so.6' },
      { op: 'rmdir', path: 'usr/lib/directory' },
      { op: 'remove-tree', path: 'usr/lib/old' },
      { op: 'empty', path: 'usr/lib' },
      { op: 'remove-tree', path: 'usr/lib' },
      { op: 'mkdir', path: 'usr/lib' },
    ];
    const outcomes = { done: 0, refused: 0 };
    await whileSwapping(jail, outside, async () => {
      // Until enough operations met the link: on a busy machine few do.
      for (let count = 0; count < 3000 || (outcomes.refused < 20 && count < 300_000); count++) {
        const operation = round[count % round.length];
        assert.ok(operation);
        try {
          await engine.run([operation]);
          outcomes.done++;
        } catch (error) {
          assert.ok(error instanceof OperationError, String(error));
          if (['ELOOP', 'ENOTDIR'].includes(error.errno)) outcomes.refused++;
        }
      }
    }).finally(() => engine.close());
    // Otherwise, no operation met the link.
    assert.ok(outcomes.done > 0 && outcomes.refused >= 20, JSON.stringify(outcomes));
    assert.deepEqual(snapshot(outside), untouched);
  });

  test('in whole builds', async (t) => {
    const { outside, host, jail, untouched } = makePlaces(t);
    mkdirSync(`${jail}/usr/lib`, { recursive: true });
    await whileSwapping(jail, outside, async () => {
      for (let count = 0; count < 25; count++) {
        utimesSync(`${host}/usr/lib/libc.so.6`, count, count);
        utimesSync(`${host}/usr/bin/ls`, count, count);
        await writeJail(manifestOf(host), jail, { sourceRoot: host, noSync: true }).catch(
          ({ code }) => assert.match(code, /^(CONFLICT|WRITE_FAILED)$/),
        );
      }
    });
    assert.deepEqual(snapshot(outside), untouched);
  });
});

describe('a jail that others could replace is refused', needsRoot(), () => {
  const uid = 1234;
  const cases: [
    name: string,
    mode: number,
    owner: number,
    group: number,
    why: RegExp | undefined,
  ][] = [
    ['writable by all', 0o777, 0, 0, /is writable by everyone/],
    ['writable by all, with the sticky bit', 0o1777, 0, 0, undefined],
    ['of another user', 0o755, uid, 0, /belongs to uid 1234/],
    ['of another user, with the sticky bit', 0o1777, uid, 0, /belongs to uid 1234/],
    ['writable by a group with members', 0o775, 0, 65534, /by group 65534, with \w+,/],
    ['writable by root and its group', 0o775, 0, 0, undefined],
    ['writable by a group without members', 0o775, 0, 50_123, undefined],
  ];
  for (const [name, mode, owner, group, why] of cases) {
    test(`below a directory ${name}`, async (t) => {
      const parent = path.join(scratch(t), 'parent');
      mkdirSync(`${parent}/inner`, { recursive: true });
      chownSync(parent, owner, group);
      chmodSync(parent, mode);
      for (const target of [parent, `${parent}/inner`, `${parent}/new`, `${parent}/a/b`]) {
        const check = () => refuseInsecure(locateTarget(target), target);
        if (why === undefined) check();
        else {
          assert.throws(check, { code: 'TARGET_INSECURE', message: why });
          const host = scratch(t);
          await assert.rejects(writeJail(manifestOf(host), target), { code: 'TARGET_INSECURE' });
          await writeJail(manifestOf(host), target, { insecureParents: true });
        }
      }
    });
  }

  test('below a missing parent that another user creates first', async (t) => {
    const directory = scratch(t);
    chmodSync(directory, 0o1777);
    const target = `${directory}/parent/jail`;
    const where = locateTarget(target);
    mkdirSync(`${directory}/parent`);
    chownSync(`${directory}/parent`, uid, 0);
    const manifest = manifestOf(scratch(t));
    await assert.rejects(writeNewJail(manifest, where, {}), { code: 'TARGET_INSECURE' });
    assert.deepEqual(readdirSync(`${directory}`), []);
    mkdirSync(`${directory}/parent`);
    await writeNewJail(manifest, where, {});
  });

  test('below a root that belongs to nobody in the user namespace', needsForeignRoot(), (t) => {
    const home = scratch(t);
    chownSync(home, 12345, 12345);
    const node = [process.execPath, JAILBUILD];
    const words = [`HOME=${home}`, ...BELOW_FOREIGN_ROOT, ...node, `${home}/jail`, 'true'];
    const { status, stderr } = exec('env', words, { cwd: '/' });
    assert.equal(
      stderr,
      `jailbuild: ${home}/jail: / belongs to a user whom this user namespace does not map and could be anyone: build outside of the namespace, or with --insecure-parents\n`,
    );
    assert.equal(status, 1);
  });

  test('on the command line before any output, unless --insecure-parents is given', (t) => {
    const parent = path.join(scratch(t), 'parent');
    mkdirSync(parent);
    chmodSync(parent, 0o777);
    const refused = jailbuild([`${parent}/jail`, 'ls']);
    assert.equal(refused.stdout, '');
    assert.match(
      refused.stderr,
      /^jailbuild: [^\n]*jail: [^\n]*parent is writable by everyone[^\n]*--insecure-parents[^\n]*\n$/,
    );
    assert.equal(refused.status, 1);
    assert.deepEqual(readdirSync(parent), []);
    assert.equal(jailbuild([`${parent}/jail`, 'ls', '-q', '--insecure-parents']).status, 0);
  });
});
