import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import type { Manifest, Reason } from '../../src/manifest/manifest.js';
import { exec, jailbuild } from '../support/cli.js';
import { fails } from '../support/fails.js';
import { needsRoot } from '../support/need.js';
import { tempDir } from '../support/temp-dir.js';

describe('scripts bring their interpreters', needsRoot('bash', 'env', 'chroot'), () => {
  const directory = tempDir();
  const script = (name: string, content: string): string => {
    const file = path.join(directory, name);
    writeFileSync(file, content, { mode: 0o755 });
    return file;
  };
  const build = (name: string, ...args: string[]): string => {
    const jail = path.join(directory, name);
    const { status, stderr } = jailbuild([jail, ...args]);
    assert.equal(stderr, '');
    assert.equal(status, 0);
    return jail;
  };
  const run = (jail: string, ...command: string[]): string => {
    const { stdout, stderr } = exec('chroot', [jail, ...command], {
      env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' },
    });
    assert.equal(stderr, '');
    return stdout;
  };
  const reasons = (file: string, program: string): Reason[] => {
    const { stdout } = jailbuild(['/nonexistent/jail', program, '--dry-run', '--json']);
    const { entries }: Manifest = JSON.parse(stdout);
    return entries.filter(({ path: at }) => at.endsWith(file)).flatMap((entry) => entry.reasons);
  };

  test('an interpreter with an argument', () => {
    const file = script('plain', '#!/bin/bash -e\necho "$0 $-"; false; echo not reached\n');
    assert.match(run(build('plain-jail', file), file), new RegExp(`^${file} .*e.*\\n$`));
    assert.ok(reasons('/bash', file).some(({ kind }) => kind === 'shebang'));
  });

  test('env, with and without -S', () => {
    const one = script('env-one', '#!/usr/bin/env bash\necho "one $#"\n');
    const two = script('env-two', '#!/usr/bin/env -S A=b bash -u\necho "two $A"; echo $UNSET\n');
    const jail = build('env-jail', one, two);
    assert.equal(run(jail, one, 'x'), 'one 1\n');
    const { stdout, status } = exec('chroot', [jail, two], {
      env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' },
    });
    assert.deepEqual([stdout, status], ['two b\n', 1]);
    assert.ok(
      reasons('/bash', one).some((reason) => reason.kind === 'env' && reason.name === 'bash'),
    );
  });

  test('interpreters that are scripts, to the depth that Linux permits', () => {
    let file = script('level-1', '#!/bin/bash\necho "$@"\n');
    for (let level = 2; level <= 5; level++) file = script(`level-${level}`, `#!${file}\n`);
    const jail = build('deep-jail', file);
    assert.match(run(jail, file, 'end'), /level-2 .*level-5 end\n$/);

    const deeper = script('level-6', `#!${file}\n`);
    const refused = jailbuild([path.join(directory, 'deeper-jail'), deeper]);
    assert.match(refused.stderr, /more than the 5 that Linux follows/);
    const onHost = exec(file, ['end']);
    assert.equal(onHost.status, 0);
    assert.match(exec('env', [deeper]).stderr, /[Tt]oo many levels/);
  });

  test('a script found by name, whose env finds its program on the PATH of the build', () => {
    const bin = path.join(directory, 'bin');
    mkdirSync(bin);
    writeFileSync(path.join(bin, 'tool'), '#!/usr/bin/env inner\n', { mode: 0o755 });
    writeFileSync(path.join(bin, 'inner'), '#!/bin/bash\necho "inner $1"\n', { mode: 0o755 });
    const jail = path.join(directory, 'path-jail');
    const env = { ...process.env, PATH: `${bin}:${process.env.PATH}` };
    const { status, stderr } = jailbuild([jail, 'tool'], { env });
    assert.equal(status, 0, stderr);
    const { stdout } = exec('chroot', [jail, path.join(bin, 'tool')], { env });
    assert.equal(stdout, `inner ${bin}/tool\n`);
  });

  test('the finished jail is verified with interpreters', () => {
    const jail = path.join(directory, 'verified-jail');
    mkdirSync(path.join(jail, 'usr/bin'), { recursive: true });
    writeFileSync(path.join(jail, 'usr/bin/bash'), 'no program', { mode: 0o755 });
    const file = script('verified', '#!/usr/bin/bash\n');
    fails('VERIFY_FAILED', /^in the jail: \/usr\/bin\/bash: is neither an ELF file/, [
      jail,
      file,
      '--no-clobber',
      '--quiet',
    ]);
  });
});
