import assert from 'node:assert/strict';
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { exec, JAILBUILD, succeed } from '../support/cli.js';
import { DebianRoot } from '../support/debian-root.js';
import { needs } from '../support/need.js';
import { tempDir } from '../support/temp-dir.js';

/** What changed less than two seconds ago is not kept. */
const SETTLE = 2100;

/** Compiles a static program that starts others, with the names of these. */
function starter(...names: readonly string[]): Buffer {
  const output = path.join(tempDir(), 'compiled');
  const words = names.map((name) => `"${name}"`).join(', ');
  const source = `const char *const words[] = {${words}}; void _start(void) {}`;
  const options = ['-static', '-nostdlib', '-fno-builtin', '-o', output];
  succeed('gcc', ['-x', 'c', '-', ...options], { input: source });
  return readFileSync(output);
}

describe('what earlier runs found that packages bring', needs('gcc', 'strace'), () => {
  const root = new DebianRoot();
  const directory = tempDir();
  const cache = path.join(directory, 'cache');
  const facts = path.join(cache, 'jailbuild/facts');
  const env = { ...process.env, XDG_CACHE_HOME: cache };
  const DATA = { '/usr/share/forms/list': 'one\n', '/etc/forms.conf': 'a = b\n' };
  const PROGRAMS = { '/usr/bin/forms': starter('helper'), '/usr/bin/forms-edit': starter() };

  /** Plans a jail, and returns its entries; whether lists of packages were read; and the output. */
  const plan = (...options: readonly string[]) => {
    const log = path.join(directory, 'log');
    const jail = path.join(directory, 'new');
    const call = ['-f', '-y', '-qq', '-o', log, '-e', 'trace=open,openat,openat2'];
    const request = ['forms', '--with-package', '--sysroot', root.path, '--terminfo', 'none'];
    const command = [process.execPath, JAILBUILD, jail, ...request, '--dry-run', '--json'];
    const { status, stdout, stderr } = exec('strace', [...call, ...command, ...options], { env });
    assert.equal(status, 0, stderr);
    const { entries } = JSON.parse(stdout) as { entries: { path: string; size?: number }[] };
    const isFound = readFileSync(log, 'utf8').includes('/var/lib/dpkg/info/');
    const sizes = new Map(entries.map(({ path: at, size }) => [at, size]));
    return { sizes, isFound, output: `${stdout}${stderr}` };
  };

  /** Waits until nothing has just changed, and has a run keep what it finds. */
  const keep = async () => {
    await delay(SETTLE);
    const kept = plan();
    const again = plan();
    assert.equal(again.isFound, false, 'the lists of packages are read again');
    assert.equal(again.output, kept.output);
    return again.sizes;
  };

  /** Returns the entries after a change, which must be noticed at once. */
  const changed = (...options: readonly string[]) => {
    const now = plan(...options);
    assert.equal(now.output, plan(...options, '--no-cache').output);
    return now.sizes;
  };

  before(() => {
    // What no package owns in a directory of these packages alone would be theirs.
    const shared = ['/usr/bin/base', '/etc/base', '/etc/alternatives/base', '/usr/share/base'];
    root.install('base', Object.fromEntries(shared.map((at) => [at, ''])));
    root.install('helper', { '/usr/bin/helper': starter() });
    root.install('forms-data', DATA, 'Architecture: all\n');
    root.install('forms', PROGRAMS, 'Depends: forms-data, helper\n');
    root.put('/usr/share/forms/made', 'by the installation');
    root.put('/etc/forms-2.conf', 'made');
    root.link('/usr/bin/form', '/etc/alternatives/form');
    root.link('/etc/alternatives/form', '/usr/bin/forms');
    root.put('/var/lib/dpkg/alternatives/form', 'auto\n/usr/bin/form\n\n/usr/bin/forms\n');
  });

  test('is brought again without the package database', async () => {
    const entries = await keep();
    const all = ['/usr/bin/forms', '/usr/bin/helper', '/usr/bin/form', '/etc/alternatives/form'];
    for (const at of [...all, ...Object.keys(DATA), '/usr/share/forms/made']) {
      assert.ok(entries.has(at), at);
    }
    assert.equal(plan('--no-cache').output, plan().output);
  });

  test('is found anew for other options, and kept for each', async () => {
    await keep();
    assert.equal(plan('--package-docs').isFound, true);
    assert.equal(plan('--package-docs').isFound, false);
    assert.equal(plan().isFound, false);
  });

  test('is found anew beside other files of the user', async () => {
    await keep();
    root.put('/usr/bin/other', starter(), 0o755);
    const options = ['--include', '/usr/bin/other'];
    assert.ok(changed(...options).has('/usr/bin/other'));
    assert.ok(!changed().has('/usr/bin/other'));
  });

  test('changes with an upgraded package', async () => {
    await keep();
    const files = { ...DATA, '/usr/share/forms/new': 'of the next version' };
    root.install('forms-data', files, 'Architecture: all\n');
    assert.ok(changed().has('/usr/share/forms/new'));
    assert.ok((await keep()).has('/usr/share/forms/new'));
  });

  test('changes with a file that is added to a directory, or taken out', async () => {
    await keep();
    root.put('/usr/share/forms/another', 'made later');
    assert.ok(changed().has('/usr/share/forms/another'));
    await keep();
    rmSync(`${root.path}/usr/share/forms/another`);
    assert.ok(!changed().has('/usr/share/forms/another'));
  });

  test('changes with the size of a file, and without a removed file of configuration', async () => {
    await keep();
    root.put('/etc/forms.conf', 'longer = text\n');
    assert.equal(changed().get('/etc/forms.conf'), 'longer = text\n'.length);
    await keep();
    rmSync(`${root.path}/etc/forms.conf`);
    assert.ok(!changed().has('/etc/forms.conf'));
    root.put('/etc/forms.conf', 'a = b\n');
    assert.ok(changed().has('/etc/forms.conf'));
  });

  test('changes with a switched alternative', async () => {
    await keep();
    rmSync(`${root.path}/etc/alternatives/form`);
    root.link('/etc/alternatives/form', '/usr/bin/other');
    assert.ok(!changed().has('/etc/alternatives/form'));
    rmSync(`${root.path}/etc/alternatives/form`);
    root.link('/etc/alternatives/form', '/usr/bin/forms');
    assert.ok(changed().has('/etc/alternatives/form'));
  });

  test('changes with a program that names others', async () => {
    assert.ok((await keep()).has('/usr/bin/helper'));
    root.put('/usr/bin/forms', starter(), 0o755);
    assert.ok(!changed().has('/usr/bin/helper'));
    root.put('/usr/bin/forms', starter('helper'), 0o755);
    assert.ok(changed().has('/usr/bin/helper'));
  });

  test('is not used if its file is damaged or others could write it', async () => {
    await keep();
    const [name = ''] = readdirSync(facts);
    const file = path.join(facts, name);
    const whole = readFileSync(file);
    const damaged = Buffer.from(whole);
    for (let at = whole.length >> 1; at < whole.length; at += 97) damaged[at] = 0x7b;
    const { output } = plan('--no-cache');
    for (const content of [damaged, whole.subarray(0, whole.length >> 1), Buffer.alloc(0)]) {
      writeFileSync(file, content);
      assert.equal(plan().output, output);
    }
    await keep();
    succeed('chmod', ['o+w', cache]);
    const open = plan();
    assert.equal(open.isFound, true);
    assert.equal(open.output, output);
    succeed('chmod', ['o-w', cache]);
  });
});
