import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { before, describe, test } from 'node:test';
import { exec, JAILBUILD, jailbuild } from '../support/cli.js';
import { buildJail } from '../support/jail.js';
import { needsRoot } from '../support/need.js';
import { tempDir } from '../support/temp-dir.js';

const RUNTIME = path.join(path.dirname(JAILBUILD), 'jailbuild-runtime');

describe('values of run that no run can use', needsRoot(), () => {
  const directory = tempDir();
  const jail = path.join(directory, 'jail');
  const refused = (status: number, message: string, ...options: readonly string[]): void => {
    // A descriptor that is not open must be refused, not waited for.
    const result = jailbuild(['run', jail, ...options, '--', 'ls', '/'], { timeout: 60_000 });
    assert.deepEqual([result.status, result.stderr], [status, `jailbuild: ${message}\n`]);
  };

  before(() => buildJail(jail, ['ls']));

  test('descriptors that are not open', () => {
    const closed = 99_999;
    const form = 'give FD:DEST[:OCTAL], FD an open descriptor';
    refused(2, `--bind-data ${closed}:/tmp/d: ${form}`, '--bind-data', `${closed}:/tmp/d`);
    refused(2, `--file ${closed}:/tmp/d: ${form}`, '--file', `${closed}:/tmp/d`);
    const bind = `--ro-bind-fd ${closed}:/tmp/d: give FD:DEST, FD an open descriptor`;
    refused(2, bind, '--ro-bind-fd', `${closed}:/tmp/d`);
    const count = ['--preserve-fds', '99999999'];
    const wanted = /^jailbuild: \S+ 99999999: give a lower number: descriptor \d+ is not open\n$/;
    assert.match(jailbuild(['run', jail, ...count, '--', 'ls']).stderr, wanted);
    assert.match(exec(RUNTIME, ['create', ...count, '-b', jail, 'c']).stderr, wanted);
    const listening = ['-c', 'LISTEN_PID=$$ exec "$@"', 'sh', process.execPath, JAILBUILD];
    const env = { ...process.env, LISTEN_FDS: '99999999' };
    assert.match(exec('sh', [...listening, 'run', jail, '--', 'ls'], { env }).stderr, wanted);
  });

  test('modes of more than four octal digits', () => {
    refused(
      2,
      '--bind-data 0:/tmp/d:17777: give FD:DEST[:OCTAL], OCTAL up to 7777',
      ...['--bind-data', '0:/tmp/d:17777'],
    );
    refused(2, '--dir /d:10000: give DEST[:OCTAL], OCTAL up to 7777', '--dir', '/d:10000');
    refused(2, '--chmod 10000:/d: give OCTAL:DEST, OCTAL up to 7777', '--chmod', '10000:/d');
  });

  test('NUL bytes in a file of variables, which are not shown', () => {
    const file = path.join(directory, 'environ');
    writeFileSync(file, 'A=b\0SECRET=hidden\0');
    const problem = 'the file contains a NUL byte: list one NAME[=VALUE] per line';
    refused(2, `--env-file: ${problem}`, '--env-file', file);
  });

  test('a directory for the state of containers that is not UTF-8', () => {
    const script = '"$0" --root "$(printf "/tmp/x\\377")" state c';
    const { status, stderr } = exec('sh', ['-c', script, RUNTIME]);
    assert.equal(status, 2);
    assert.match(stderr, /: is not UTF-8: name another directory for containers with --root\n$/);
  });

  test('layers of an overlay that overlap', () => {
    const layer = path.join(directory, 'layer');
    mkdirSync(layer);
    const twice = jailbuild([
      ...['run', jail, '--mount', `type=overlay,src=${layer},src=${layer},dst=/tmp`, '--', 'ls'],
    ]);
    assert.equal(twice.status, 125);
    assert.match(twice.stderr, /: each directory may be only one of its layers\n$/);
  });
});
