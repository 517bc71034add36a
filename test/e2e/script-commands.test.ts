import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import type { Manifest } from '../../src/manifest/manifest.js';
import { exec, type Finished, jailbuild, PROJECT } from '../support/cli.js';
import { needs, needsRoot } from '../support/need.js';
import { tempDir } from '../support/temp-dir.js';

interface Planned extends Manifest {
  readonly stderr: string;
  readonly paths: readonly string[];
}

function planOf(...args: readonly string[]): Planned {
  const { status, stdout, stderr } = jailbuild([
    `${tempDir()}/jail`,
    ...args,
    '--dry-run',
    '--json',
  ]);
  assert.equal(status, 0, stderr);
  const manifest = JSON.parse(stdout) as Manifest;
  return { ...manifest, stderr, paths: manifest.entries.map(({ path: at }) => at) };
}

function script(text: string, name = 'tool'): string {
  const file = path.join(tempDir(), name);
  writeFileSync(file, text, { mode: 0o755 });
  return file;
}

/** Runs a command in a jail of programs. */
function runIn(programs: readonly string[], command: readonly string[]): Finished {
  const root = `${tempDir()}/jail`;
  const built = jailbuild([root, ...programs, '--no-sync']);
  assert.equal(built.status, 0, built.stderr);
  return jailbuild(['run', root, '--', ...command]);
}

const BASE = ['sh', 'gzip', 'grep', 'cat', 'bash'];

describe('commands of shell scripts', needs(...BASE), () => {
  test('are added with their reasons, and files that a script sources as well', () => {
    const lib = script('say() { cat "$@"; }\n', 'lib.sh');
    const tool = script(`#!/bin/sh\n. ${lib}\nsay x | grep x\n`);
    const { entries, paths } = planOf(tool);
    const reasons = Object.fromEntries(entries.map((entry) => [entry.path, entry.reasons]));
    assert.ok(paths.includes('/usr/bin/cat'));
    assert.deepEqual(reasons['/usr/bin/grep'], [
      { kind: 'command', by: tool, line: 3, name: 'grep' },
    ]);
    assert.deepEqual(reasons[lib], [{ kind: 'sourced', by: tool, line: 2 }]);
  });

  test('are added for scripts among commands and included files', () => {
    const inner = script('#!/bin/sh\ngzip -c\n', 'inner');
    const outer = script(`#!/bin/sh\nexec ${inner} x\n`);
    assert.ok(planOf(outer).paths.includes('/usr/bin/gzip'));
    assert.ok(planOf('cat', '--include', outer).paths.includes('/usr/bin/gzip'));
  });

  test('are not added with --script-commands none, also in a jail file', () => {
    const tool = script('#!/bin/sh\ngzip -c\n');
    const without = planOf(tool, '--script-commands', 'none');
    assert.ok(!without.paths.includes('/usr/bin/gzip'));
    assert.equal(without.request.scriptCommands, 'none');
    const file = path.join(tempDir(), 'jail.yaml');
    writeFileSync(file, `programs: [${tool}]\nscript-commands: none\n`);
    assert.ok(!planOf('--file', file).paths.includes('/usr/bin/gzip'));
    assert.ok(planOf('--file', file, '--script-commands', 'auto').paths.includes('/usr/bin/gzip'));
  });

  test('cause no error if the host lacks them, and advice if they are computed', () => {
    const tool = script('#!/bin/sh\nno-such-command x || true\nread -r name\n$name y\n');
    const { advice = [], missing } = planOf(tool);
    assert.deepEqual(missing, []);
    const texts = advice.filter(({ id }) => id === 'script').map(({ text }) => text);
    assert.deepEqual(texts, [
      'tool computes a command at run time (line 4: $name y): record a run with jailbuild trace',
    ]);
  });

  test('of a script that cannot be parsed become advice, and the build continues', () => {
    const tool = script('#!/bin/sh\n)) (( ;; }} %%% <<< ((\n');
    const [line] = planOf(tool).advice ?? [];
    assert.match(line?.text ?? '', /^tool cannot be read as a shell script/);
  });

  test('that only some users may run are not added', () => {
    const secret = script('PASSWORD=x\n', 'secret');
    chmodSync(secret, 0o600);
    assert.ok(!planOf(script(`#!/bin/sh\n. ${secret}\n`)).paths.includes(secret));
  });

  test('are verified with their libraries, and explained by why', () => {
    const root = `${tempDir()}/jail`;
    const tool = script('#!/bin/sh\ngrep x\n');
    assert.equal(jailbuild([root, tool, '--no-sync']).status, 0);
    const why = jailbuild(['why', root, '/usr/bin/grep']);
    assert.match(why.stdout, /run as grep by the script .*\/tool, line 2/);
    const library = planOf('grep').paths.find((at) => /libpcre2-8\.so\.[\d.]+$/.test(at));
    assert.ok(library !== undefined);
    exec('rm', [root + library]);
    const checked = jailbuild(['check', root]);
    assert.notEqual(checked.status, 0);
    assert.match(checked.stdout + checked.stderr, /libpcre2-8/);
  });

  test('work with only the packaged files', () => {
    const copy = tempDir();
    for (const name of ['dist', 'templates', 'package.json']) {
      exec('cp', ['-a', path.join(PROJECT, name), copy]);
    }
    const tool = script('#!/bin/sh\ngzip -c\n');
    const words = [path.join(copy, 'dist/jailbuild.cjs'), `${tempDir()}/jail`, tool, '--dry-run'];
    const plan = exec(process.execPath, words);
    assert.equal(plan.status, 0, plan.stderr);
    assert.match(plan.stdout, /\/usr\/bin\/gzip/);
    exec('rm', ['-r', path.join(copy, 'dist/shell')]);
    const without = exec(process.execPath, words);
    assert.equal(without.status, 0);
    assert.match(without.stderr, /the commands that shell scripts run are not added: .*is missing/);
  });
});

describe(
  'scripts of the host run in their jails',
  needsRoot(...BASE, 'zcat', 'egrep', 'ldd'),
  () => {
    const work = tempDir();
    exec('sh', ['-c', `echo hello | gzip > ${work}/a.gz`]);

    test('zcat', () => {
      const { stdout, stderr } = runIn(
        ['zcat', `--include=${work}/a.gz`],
        ['zcat', `${work}/a.gz`],
      );
      assert.equal(stdout, 'hello\n', stderr);
    });

    test('egrep', () => {
      const { stdout } = runIn(['egrep'], ['egrep', '-c', 'root|x', '/usr/bin/egrep']);
      assert.match(stdout, /^\d+\n$/);
    });

    test('ldd, which finds the loaders in a variable', () => {
      const { stdout, stderr } = runIn(['ldd'], ['ldd', '/usr/bin/bash']);
      assert.match(stdout, /libc\.so\.6 => /, stderr);
    });

    test('a wrapper that starts a program of its own prefix', () => {
      const prefix = path.join(tempDir(), 'env');
      mkdirSync(`${prefix}/shims`, { recursive: true });
      mkdirSync(`${prefix}/libexec`);
      const put = (name: string, text: string) =>
        writeFileSync(`${prefix}/${name}`, text, { mode: 0o755 });
      put(
        'shims/tool',
        `#!/usr/bin/env bash\nset -e\nprogram="\${0##*/}"\nexec "${prefix}/libexec/env" exec "$program" "$@"\n`,
      );
      put(
        'libexec/env',
        '#!/usr/bin/env bash\nset -e\nhere="$(cd "$(dirname "$0")" && pwd)"\nshift 2\nexec "$here/real" "$@"\n',
      );
      put('libexec/real', '#!/bin/sh\nexec cat /proc/version\n');
      const { stdout, stderr } = runIn([`${prefix}/shims/tool`], ['tool']);
      assert.match(stdout, /^Linux version/, stderr);
    });
  },
);
