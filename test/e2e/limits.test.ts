import assert from 'node:assert/strict';
import { chmodSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { exec, jailbuild } from '../support/cli.js';
import { needs, needsRoot } from '../support/need.js';
import { tempDir } from '../support/temp-dir.js';

const SMALL = ['--terminfo', 'none', '--nss', 'none', '--quiet'];

describe('limits of a root', () => {
  for (const [options, message] of [
    [['--max-size', '1k'], /^jailbuild: \/: contains .* MiB, but --max-size allows 1\.0 KiB\n$/],
    [['--max-files', '2'], /^jailbuild: \/: contains \d+ files, but --max-files allows 2\n$/],
    [['--forbid', 'libc.so.*'], /libc\.so\.6: is forbidden by --forbid libc\.so\.\*\n$/],
  ] as const) {
    test(`a build beyond ${options.join(' ')} writes nothing`, () => {
      const directory = tempDir();
      const { status, stderr } = jailbuild([`${directory}/jail`, 'ls', ...SMALL, ...options]);
      assert.equal(status, 1);
      assert.match(stderr, message);
      assert.deepEqual(readdirSync(directory), []);
      const tar = `tar:${directory}/x.tar`;
      assert.equal(jailbuild(['export', 'ls', ...SMALL, '--to', tar, ...options]).status, 1);
      assert.deepEqual(readdirSync(directory), []);
    });
  }

  test('set-ID files and capabilities are refused', needsRoot('setcap'), () => {
    const directory = tempDir();
    const program = path.join(directory, 'program');
    writeFileSync(program, readFileSync('/bin/ls'), { mode: 0o755 });
    const build = () =>
      jailbuild([`${directory}/jail`, program, ...SMALL, '--dry-run', '--forbid-set-id']);
    assert.equal(build().status, 0);
    assert.equal(exec('setcap', ['cap_net_raw=ep', program]).status, 0);
    assert.match(build().stderr, /program: has file capabilities, which --forbid-set-id refuses/);
    chmodSync(program, 0o4755);
    assert.match(build().stderr, /program: has mode 4755, which --forbid-set-id refuses/);
  });

  test('check finds files added to a jail later', () => {
    const jail = path.join(tempDir(), 'jail');
    assert.equal(jailbuild([jail, 'ls', ...SMALL]).status, 0);
    const limits = ['--forbid', '*.key', '--max-size', '100m'];
    assert.equal(jailbuild(['check', jail, ...limits]).status, 0);
    writeFileSync(`${jail}/server.key`, 'secret');
    const { status, stdout, stderr } = jailbuild(['check', jail, ...limits, '--format', 'github']);
    assert.equal(status, 3);
    assert.match(stdout, /^limit +\/server\.key: is forbidden by --forbid \*\.key$/m);
    assert.match(stderr, /^::error title=limit::\/server\.key: is forbidden/m);
  });

  test('values are checked', () => {
    const jail = path.join(tempDir(), 'jail');
    assert.match(jailbuild([jail, 'ls', '--max-size', 'big']).stderr, /--max-size big: give/);
    assert.equal(jailbuild([jail, 'ls', '--max-files', '-1']).status, 2);
  });
});

describe('report and diff', () => {
  test('write a page of a jail, of programs, and of a comparison', () => {
    const directory = tempDir();
    const jail = path.join(directory, 'jail');
    assert.equal(jailbuild([jail, 'ls', ...SMALL]).status, 0);
    const page = path.join(directory, 'page.html');
    const { status, stderr } = jailbuild(['report', jail, '-o', page]);
    assert.equal(status, 0, stderr);
    const text = readFileSync(page, 'utf8');
    assert.match(text, /<th scope=row>\/usr\/bin\/ls/);
    assert.match(text, /requested as ls/);
    assert.doesNotMatch(text, /(?:src|href)="(?:https?:)?\/\//);
    assert.equal(jailbuild(['report', jail, '-o', `${page}.2`, '-q']).status, 0);
    assert.equal(readFileSync(`${page}.2`, 'utf8'), text);

    const same = jailbuild(['diff', jail, jail, '--exit-code']);
    assert.equal(same.status, 0, same.stdout);
    const other = jailbuild(['diff', jail, 'cat', '--exit-code', '--html', `${page}.3`]);
    assert.equal(other.status, 3, other.stderr);
    assert.match(other.stdout, /^\+ \/usr\/bin\/cat$/m);
    assert.match(other.stdout, /^- \/usr\/bin\/ls$/m);
    assert.match(readFileSync(`${page}.3`, 'utf8'), /<strong class=added>added<\/strong>/);
  });

  test('escape hostile names', () => {
    const directory = tempDir();
    const name = '<img src=x onerror=alert(1)>\u202e"\'.sh';
    writeFileSync(path.join(directory, name), '#!/bin/sh\n', { mode: 0o755 });
    const page = path.join(directory, 'page.html');
    const { status, stderr } = jailbuild(['report', path.join(directory, name), '-o', page, '-q']);
    assert.equal(status, 0, stderr);
    const text = readFileSync(page, 'utf8');
    assert.ok(text.includes('&#60;img src=x onerror=alert(1)&#62;\\u202e&#34;&#39;.sh'));
    assert.doesNotMatch(text, /<img|\u202e/);
  });

  test('report unreadable input in one line, and leave no page', needs(), () => {
    const directory = tempDir();
    const page = path.join(directory, 'page.html');
    const { status, stderr } = jailbuild(['report', '/no/such/program', '-o', page]);
    assert.equal(status, 1);
    assert.match(stderr, /^jailbuild: \/no\/such\/program: [^\n]*\n$/);
    assert.ok(!existsSync(page));
    assert.equal(jailbuild(['diff', 'ls']).status, 2);
  });
});
