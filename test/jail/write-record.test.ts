import assert from 'node:assert/strict';
import {
  appendFileSync,
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { writeJail } from '../../src/jail/write/write.js';
import type { Manifest } from '../../src/manifest/manifest.js';
import { manifestOf, scratch, snapshot } from './support.js';

/**
 * Creates a host with two directories, a jail of all of it, and the entries that only the old plan
 * has.
 */
async function twoPlans(t: TestContext) {
  const host = scratch(t);
  mkdirSync(path.join(host, 'bin'));
  mkdirSync(path.join(host, 'old/deep'), { recursive: true });
  writeFileSync(path.join(host, 'bin/ls'), 'ls');
  writeFileSync(path.join(host, 'old/a'), 'a');
  writeFileSync(path.join(host, 'old/deep/b'), 'b');
  const target = path.join(scratch(t), 'jail');
  const all = manifestOf(host);
  await writeJail(all, target, { sourceRoot: host, record: () => [Buffer.from('first')] });
  const isOld = ({ path }: { path: string }) => path.startsWith('/old');
  const removals = all.entries.filter(isOld);
  const plan: Manifest = { ...all, entries: all.entries.filter((entry) => !isOld(entry)) };
  return { host, target, plan, removals };
}

const recordOf = (target: string) => path.join(target, '.jailbuild/record.json');

test('the record of a new jail is readable only by its owner', async (t) => {
  const { target } = await twoPlans(t);
  assert.equal(readFileSync(recordOf(target), 'utf8'), 'first');
  assert.equal(lstatSync(recordOf(target)).mode & 0o7777, 0o600);
  assert.equal(lstatSync(path.dirname(recordOf(target))).mode & 0o7777, 0o700);
});

test('obsolete entries are removed, and the record is replaced', async (t) => {
  const { host, target, plan, removals } = await twoPlans(t);
  writeFileSync(path.join(host, 'bin/cat'), 'cat');
  const next = {
    ...manifestOf(host),
    entries: manifestOf(host).entries.filter(({ path }) => path.startsWith('/bin')),
  };
  assert.ok(next.entries.length > plan.entries.length);
  await writeJail(next, target, {
    sourceRoot: host,
    removals,
    // In parts, as the record of a large jail.
    record: (findings) => findings.map(({ need }, at) => Buffer.from(at === 0 ? need : `,${need}`)),
  });
  assert.deepEqual(readdirSync(target).sort(), ['.jailbuild', 'bin']);
  assert.deepEqual(readdirSync(path.join(target, '.jailbuild')), ['record.json']);
  assert.equal(readFileSync(recordOf(target), 'utf8'), 'nothing,create,nothing');
});

test('a failed removal restores what was removed', async (t) => {
  const { host, target, plan, removals } = await twoPlans(t);
  chmodSync(path.join(target, 'old/deep'), 0o711);
  const bits = removals.map((entry) =>
    entry.path === '/old/deep' ? { ...entry, mode: '0711' } : entry,
  );
  appendFileSync(path.join(target, 'old/users'), 'own');
  const before = snapshot(target);
  await assert.rejects(
    writeJail(plan, target, {
      sourceRoot: host,
      removals: bits,
      record: () => [Buffer.from('second')],
    }),
    { code: 'WRITE_FAILED', message: /old: directory not empty/ },
  );
  assert.deepEqual(snapshot(target), before);
});

test('nothing is touched if there is nothing to do and the record does not change', async (t) => {
  const { host, target, plan } = await twoPlans(t);
  const before = lstatSync(path.join(target, '.jailbuild'), { bigint: true }).ctimeNs;
  await writeJail(plan, target, { sourceRoot: host, record: () => undefined });
  assert.equal(lstatSync(path.join(target, '.jailbuild'), { bigint: true }).ctimeNs, before);
});

test('entries to be kept are not changed', async (t) => {
  const { host, target, plan } = await twoPlans(t);
  appendFileSync(path.join(target, 'bin/ls'), 'mine');
  const reports = await writeJail(plan, target, { sourceRoot: host, keep: new Set(['/bin/ls']) });
  assert.equal(readFileSync(path.join(target, 'bin/ls'), 'utf8'), 'lsmine');
  assert.equal(reports.find(({ path }) => path === '/bin/ls')?.action, 'kept');
  assert.ok(existsSync(path.join(target, 'old/a')));
});
