import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { DirectoryView } from '../../src/fs/file-view.js';
import { fromBytes, toBytes } from '../../src/fs/path-bytes.js';
import { ATTRIBUTES_FILE, attributesText } from '../../src/fs/recorded-attributes.js';
import { Sysroot } from '../../src/fs/sysroot.js';
import { surveySources, surveyTrees } from '../../src/jail/engine/source-survey.js';
import { hostState, isHostUnchanged } from '../../src/jail/record/fingerprint.js';
import { ENVIRONMENT, FRONT, NEEDS_FRONT, OWN_CACHE } from '../front/support.js';
import { JAILBUILD } from '../support/cli.js';
import { needs, needsRoot } from '../support/need.js';
import { scratch } from './support.js';

const NOT_UTF8 = fromBytes(Buffer.from('caf\xe9', 'latin1'));

/**
 * Creates a root with every file type that needs no privilege, and a directory that needs several
 * reads.
 */
function made(t: TestContext): string {
  const root = `${scratch(t)}/root`;
  mkdirSync(`${root}/tree/empty`, { recursive: true });
  mkdirSync(`${root}/tree/many/deep/deeper`, { recursive: true });
  mkdirSync(`${root}/beside`);
  writeFileSync(`${root}/beside/a`, 'a');
  for (let index = 0; index < 700; index++) {
    writeFileSync(`${root}/tree/many/${'n'.repeat(index % 200)}${index}`, 'x'.repeat(index % 7));
  }
  writeFileSync(`${root}/tree/many/deep/deeper/elf`, '\x7fELF and more');
  writeFileSync(toBytes(`${root}/tree/${NOT_UTF8}`), 'name');
  writeFileSync(`${root}/tree/first`, 'before 1970');
  utimesSync(`${root}/tree/first`, -12.25, -12.25);
  writeFileSync(`${root}/tree/set-id`, '');
  chmodSync(`${root}/tree/set-id`, 0o6751);
  linkSync(`${root}/tree/first`, `${root}/tree/second`);
  symlinkSync('first', `${root}/tree/link`);
  execFileSync('mkfifo', [`${root}/tree/fifo`]);
  return root;
}

/** Checks that a surveyed tree agrees with one that is read file by file. */
function compare(one: DirectoryView, other: DirectoryView, at: string): number {
  const names = one.names(at).sort();
  assert.deepEqual(names, other.names(at).sort());
  let count = names.length;
  for (const name of names) {
    const below = `${at}/${name}`;
    const stat = one.lstat(below);
    // Only lstat(2) for one file tells when it changed: see FileAttributes.
    const { ctimeNs, ...inspected } = other.lstat(below) ?? assert.fail(below);
    assert.equal(typeof ctimeNs, 'bigint');
    assert.deepEqual(stat, inspected);
    if (stat?.type === 'directory') count += compare(one, other, below);
    if (stat?.type !== 'file') continue;
    const starts = [one, other].map((view) => view.readStart(below, Buffer.alloc(4)));
    assert.deepEqual(starts[0], starts[1]);
    assert.deepEqual(starts[0], readFileSync(toBytes(one.realPath(below))).subarray(0, 4));
  }
  return count;
}

describe('a survey of a tree', needs('mkfifo'), () => {
  test('finds the same as Node does file by file', async (t) => {
    const root = made(t);
    const survey = await surveyTrees(root, ['/tree']);
    assert.ok(survey !== undefined);
    const surveyed = new DirectoryView(root);
    surveyed.survey = survey;
    assert.equal(compare(surveyed, new DirectoryView(root), '/tree'), 700 + 11);
    // The survey covers only that tree.
    assert.equal(survey.lstat('/beside/a'), undefined);
    assert.equal(surveyed.lstat('/beside/a')?.size, 1);
    assert.equal(surveyed.lstat('/tree/none'), undefined);
    assert.deepEqual(surveyed.readStart('/tree/first', Buffer.alloc(5)).toString(), 'befor');
  });

  test('is used instead of reading again', async (t) => {
    const root = made(t);
    const survey = await surveyTrees(root, ['/tree']);
    rmSync(`${root}/tree/first`);
    const surveyed = new DirectoryView(root);
    surveyed.survey = survey;
    assert.equal(surveyed.lstat('/tree/first')?.size, 11);
  });

  test('does not leave the tree through a link', async (t) => {
    const root = made(t);
    symlinkSync(`${root}/beside`, `${root}/tree/out`);
    const survey = await surveyTrees(root, ['/tree', '/tree/out', '/tree/link/x', '/none']);
    assert.ok(survey?.lstat('/tree/out') !== undefined);
    assert.equal(survey.names('/tree/out'), undefined);
    assert.equal(survey.names('/none'), undefined);
  });

  test('is left to Node without the front', async (t) => {
    assert.equal(await surveySources(made(t), ['/tree']), undefined);
  });

  test('provides the values by which changes are detected', async (t) => {
    const root = made(t);
    const sysroot = new Sysroot(root);
    sysroot.useSurvey(await surveyTrees(root, ['/tree']));
    for (const name of ['/tree/first', '/tree/link', '/tree/many/deep']) sysroot.trace(name);
    const seen = sysroot.observed();
    assert.ok(seen !== undefined);
    const { mtimeMs, ctimeMs, ino, dev } = lstatSync(`${root}/tree/first`);
    const numbers = seen.numbersOf?.('/tree/first') ?? [];
    assert.deepEqual([numbers[3], ...numbers.slice(5)], [mtimeMs, ctimeMs, dev, ino]);
    const state = () => hostState(seen, root, Date.now() + 60_000, () => true);
    const before = state();
    assert.ok(before !== undefined);
    assert.equal(isHostUnchanged({ sourceRoot: root, host: before }), true);
    utimesSync(`${root}/tree/first`, 1, 1);
    assert.equal(isHostUnchanged({ sourceRoot: root, host: before }), false);
    // A change during the build is detected as well.
    const after = state();
    assert.equal(after !== undefined && isHostUnchanged({ sourceRoot: root, host: after }), false);
    assert.equal(
      hostState(seen, root, lstatSync(`${root}/tree/first`).ctimeMs, () => true),
      undefined,
    );
  });

  test('does not hide attributes recorded beside the tree', async (t) => {
    const root = made(t);
    const recorded = { type: 'file', mode: 0o600, uid: 12, gid: 34 } as const;
    const text = attributesText([['/tree/first', recorded]]);
    writeFileSync(path.join(root, '..', ATTRIBUTES_FILE), text, {
      mode: 0o644,
    });
    const sysroot = new Sysroot(root);
    sysroot.useSurvey(await surveyTrees(root, ['/tree']));
    assert.equal(sysroot.lstat('/tree/first')?.uid, 12);
    assert.equal(sysroot.observed()?.numbersOf?.('/tree/first'), undefined);
  });
});

test('an include through the front gives the same jail as through the script', {
  ...needsRoot('unshare', 'cmp'),
  ...(NEEDS_FRONT.skip === false ? {} : NEEDS_FRONT),
}, (t) => {
  const root = made(t);
  const jails = scratch(t);
  // A static program.
  copyFileSync(FRONT, `${root}/beside/program`);
  const words = `/beside/program --sysroot ${root} --include /tree --include /beside:/elsewhere --no-sync --quiet`;
  const script = `
    ${OWN_CACHE} cd ${jails}
    ${FRONT} one ${words}
    ${process.execPath} ${JAILBUILD} two ${words}
    cmp one/.jailbuild/record.json two/.jailbuild/record.json
    ${FRONT} check one --quiet
    ${FRONT} check two --quiet
    diff -r --no-dereference one/tree/many two/tree/many`;
  const said = execFileSync('unshare', ['-m', 'sh', '-ec', script], {
    env: ENVIRONMENT,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  assert.equal(said, '');
});
