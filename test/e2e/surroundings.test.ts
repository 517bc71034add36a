import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { exec, jailbuild } from '../support/cli.js';
import { needsRoot } from '../support/need.js';
import { tempDir } from '../support/temp-dir.js';

describe('the environment of programs', needsRoot('sh', 'ls', 'touch'), () => {
  const prefix = path.join(tempDir(), 'opt/tool');
  mkdirSync(`${prefix}/bin`, { recursive: true });
  writeFileSync(`${prefix}/bin/hello`, '#!/bin/sh\necho "hello, $PATH"\n', { mode: 0o755 });
  const hello = `${prefix}/bin/hello`;

  test('a program outside of the usual PATH is found by its name, with a note', () => {
    const root = `${tempDir()}/jail`;
    const { stderr } = jailbuild([root, hello, '--no-sync']);
    assert.match(stderr, /hello is in .*opt\/tool\/bin, which run and images add to PATH/);
    const { stdout } = jailbuild(['run', root, '--', 'hello']);
    assert.match(stdout, /^hello, .*:\/usr\/bin:.*opt\/tool\/bin$/m);
  });

  test('a directory that comes first on PATH comes first in the jail', () => {
    const env = { ...process.env, PATH: `${prefix}/bin:${process.env.PATH}` };
    const plan = jailbuild([`${tempDir()}/jail`, 'hello', '--dry-run', '--json'], { env });
    const { environment } = JSON.parse(plan.stdout) as { environment: { PATH: string } };
    assert.ok(environment.PATH.startsWith(`${prefix}/bin:`), environment.PATH);
  });

  test('an image has that PATH', () => {
    const image = `${tempDir()}/image`;
    const { status, stderr } = jailbuild(['export', '--to', `oci:${image}`, hello]);
    assert.equal(status, 0, stderr);
    const blobs = `${image}/blobs/sha256`;
    const texts = readdirSync(blobs).map((name) => exec('cat', [`${blobs}/${name}`]).stdout);
    assert.ok(texts.some((text) => /"Env":\["PATH=[^"]*opt\/tool\/bin/.test(text)));
  });

  test('/tmp is an empty file system if the jail has none', () => {
    const root = `${tempDir()}/jail`;
    jailbuild([root, 'sh', 'touch', 'ls', '--no-sync']);
    const run = (...words: string[]) => jailbuild(['run', root, ...words]);
    const write = ['--', 'sh', '-c', 'touch /tmp/x && ls /tmp'];
    assert.equal(run(...write).stdout, 'x\n');
    // The mount point created by a run does not count as a /tmp of the jail.
    assert.equal(run(...write).stdout, 'x\n');
    assert.equal(run('--user', '1000:1000', ...write).stdout, 'x\n');
    assert.deepEqual(readdirSync(`${root}/tmp`), []);
    assert.equal(run('--no-tmp', '--', 'sh', '-c', 'touch /tmp/y').status, 0);
    assert.ok(existsSync(`${root}/tmp/y`));
  });

  test('/tmp is not changed if the jail has one', () => {
    const root = `${tempDir()}/jail`;
    jailbuild([root, 'sh', 'touch', '--directory', '/tmp', '--no-sync']);
    assert.equal(jailbuild(['run', root, '--', 'touch', '/tmp/x']).status, 0);
    assert.deepEqual(readdirSync(`${root}/tmp`), ['x']);
  });
});
