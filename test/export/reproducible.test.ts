import assert from 'node:assert/strict';
import { readFileSync, utimesSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { exec, JAILBUILD, jailbuild } from '../support/cli.js';
import { needs, needsRoot } from '../support/need.js';
import { tempDir } from '../support/temp-dir.js';
import { sha256 } from './support.js';

const FORMS = {
  'tar:': '.tar',
  'tar:z': '.tar.gz',
  'cpio:': '.cpio',
  'oci-archive:': '.oci.tar',
  'docker-archive:': '.docker.tar',
} as const;

function build(directory: string, jail: string, prefix: readonly string[], env: NodeJS.ProcessEnv) {
  const root = path.join(directory, jail);
  assert.equal(jailbuild([root, 'bash', 'ls', 'top', '-q']).status, 0);
  return Object.entries(FORMS).map(([form, extension]) => {
    const file = path.join(directory, `image${extension}`);
    const to = `${form.replace(/z$/, '')}${file}`;
    const image = form.includes('archive') ? ['--layers', 'by-library'] : [];
    const command = [process.execPath, JAILBUILD, 'export', root, '--to', to, ...image];
    const [program = '', ...args] = [...prefix, ...command];
    const { status, stderr } = exec(program, args, { cwd: directory, env });
    assert.equal(status, 0, stderr);
    return [form, sha256(file)];
  });
}

test(
  'two builds at other times, in other directories and environments give the same bytes',
  needsRoot('unshare', 'hostname', 'top'),
  async () => {
    const env = { PATH: process.env.PATH, TERM: 'xterm' };
    const one = build(tempDir(), 'jail', [], env);
    await new Promise((resolve) => setTimeout(resolve, 1100));
    const surroundings = [
      'unshare',
      '-u',
      'sh',
      '-c',
      'hostname elsewhere; umask 077; exec "$@"',
      '-',
    ];
    const two = build(tempDir(), 'a/much/deeper/place', surroundings, {
      ...env,
      TZ: 'Pacific/Auckland',
      LANG: 'tr_TR.UTF-8',
      USER: 'someone',
      HOME: '/nonexistent',
      TMPDIR: tempDir(),
    });
    assert.deepEqual(two, one);
  },
);

test('an image made from a jail equals one made from its programs', () => {
  const directory = tempDir();
  const root = path.join(directory, 'jail');
  const choice = ['--ld-cache', 'none', '-q'];
  assert.equal(jailbuild([root, 'bash', 'ls', ...choice]).status, 0);
  const [jail, programs] = [[root], ['bash', 'ls', ...choice]].map((what, index) => {
    const file = path.join(directory, `${index}.tar`);
    assert.equal(jailbuild(['export', ...what, '--to', `tar:${file}`]).status, 0);
    return sha256(file);
  });
  assert.equal(jail, programs);
});

test('SOURCE_DATE_EPOCH limits all times', needs('tar'), () => {
  const directory = tempDir();
  const file = path.join(directory, 'image.tar');
  const env = { ...process.env, SOURCE_DATE_EPOCH: '1000000000', TZ: 'UTC' };
  const result = jailbuild(['export', 'ls', '--to', `oci-archive:${file}`, '--json'], { env });
  assert.equal(result.status, 0, result.stderr);
  const members = exec('tar', ['-tvf', file], { env }).stdout.trim().split('\n');
  assert.ok(members.length >= 5);
  for (const member of members) assert.match(member, / 2001-09-09 01:46 /);
  const [layer] = JSON.parse(result.stdout).image.layers;
  const blob = `blobs/${layer.digest.replace(':', '/')}`;
  exec('tar', ['-xf', file, '-C', directory, blob]);
  writeFileSync(
    path.join(directory, 'layer.tar'),
    gunzipSync(readFileSync(path.join(directory, blob))),
  );
  const files = exec('tar', ['-tvf', path.join(directory, 'layer.tar')], { env }).stdout;
  for (const line of files.trim().split('\n')) assert.match(line, / 2001-09-09 01:46 /);
});

test('a directory in an archive has the time of its newest entry', needs('tar'), () => {
  const directory = tempDir();
  const root = path.join(directory, 'jail');
  assert.equal(jailbuild([root, 'ls', '-q']).status, 0);
  const file = path.join(directory, 'jail.tar');
  const pack = () => {
    assert.equal(jailbuild(['export', root, '--to', `tar:${file}`]).status, 0);
    return sha256(file);
  };
  const before = pack();
  utimesSync(path.join(root, 'usr/bin'), new Date(), new Date());
  assert.equal(pack(), before);
});

test('an archive contains no data of the machine', needs('hostname'), () => {
  const directory = tempDir();
  const root = path.join(directory, 'some-distinct-name');
  assert.equal(jailbuild([root, 'ls', '--ld-cache', 'none', '-q']).status, 0);
  const file = path.join(directory, 'image.tar');
  assert.equal(jailbuild(['export', root, '--to', `docker-archive:${file}:x`]).status, 0);
  const text = readFileSync(file, 'latin1');
  const { stdout: host } = exec('hostname', []);
  for (const leak of ['some-distinct-name', directory, '.jailbuild', process.cwd()]) {
    assert.ok(!text.includes(leak), leak);
  }
  if (host.trim().length > 6)
    assert.ok(!text.includes(host.trim()), 'the archive contains the host name');
});
