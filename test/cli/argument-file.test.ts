import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { before, describe, test } from 'node:test';
import { exec, JAILBUILD, jailbuild } from '../support/cli.js';
import { tempDir } from '../support/temp-dir.js';

describe('run --args', () => {
  const directory = tempDir();
  const jail = path.join(directory, 'jail');
  const file = path.join(directory, 'arguments');
  const args = (...words: readonly string[]) => words.map((word) => `${word}\0`).join('');

  before(() => {
    const built = jailbuild(['build', jail, 'bash', 'cat']);
    assert.equal(built.status, 0, built.stderr);
  });

  test('reads options from a file, in place of the option', () => {
    writeFileSync(file, args('--env', 'A=one', '--hostname', 'first', '--env', 'C=with\nnewline'));
    const words = ['--args', file, '--env', 'B=two', '--', 'bash', '-c', 'echo "$A$B$C$HOSTNAME"'];
    assert.equal(jailbuild(['run', jail, ...words]).stdout, 'onetwowith\nnewlinefirst\n');
    assert.equal(
      jailbuild(['run', `--args=${file}`, jail, '--', 'bash', '-c', 'echo $A']).stdout,
      'one\n',
    );
  });

  test('reads from a descriptor, also the command', () => {
    const input = args('--env', 'A=one', '--', 'bash', '-c', 'echo $A $0');
    const { stdout, stderr } = jailbuild(['run', jail, '--args', '0', 'name'], { input });
    assert.equal(stdout, 'one name\n', stderr);
    const [node, words] = [process.execPath, `run ${jail} --args 7 -- bash -c 'echo $A'`];
    const shell = `exec 7< ${file}; exec ${node} ${JAILBUILD} ${words}`;
    writeFileSync(file, args('--env', 'A=seven'));
    assert.equal(exec('sh', ['-c', shell]).stdout, 'seven\n');
  });

  test('keeps values out of process lists', async () => {
    writeFileSync(file, args('--env', 'TOKEN=hidden-value', '--hostname', 'seen-value'));
    const words = ['run', jail, '--args', file, '--', 'bash', '-c', 'echo $TOKEN; read -r'];
    const child = spawn(process.execPath, [JAILBUILD, ...words]);
    let output = '';
    for await (const part of child.stdout) {
      output += part;
      if (output.includes('\n')) break;
    }
    assert.equal(output, 'hidden-value\n');
    const lines = readdirSync('/proc').flatMap((name) => {
      try {
        return /^\d+$/.test(name) ? [readFileSync(`/proc/${name}/cmdline`, 'utf8')] : [];
      } catch {
        return [];
      }
    });
    const ended = new Promise((resolve) => child.on('exit', resolve));
    child.stdin.end('\n');
    await ended;
    const showing = (text: string) => lines.filter((line) => line.includes(text)).length;
    assert.deepEqual([showing('hidden-value'), showing('seen-value') > 0], [0, true]);
  });

  test('keeps bytes that are not text', () => {
    writeFileSync(file, Buffer.from('--env\0A=\xff\xfe\0', 'latin1'));
    const { stdout } = exec('sh', [
      '-c',
      `${process.execPath} ${JAILBUILD} run ${jail} --args ${file} -- bash -c 'echo "$A"' | od -An -tx1`,
    ]);
    assert.equal(stdout.trim(), 'ff fe 0a');
  });

  test('names the mistake', () => {
    writeFileSync(file, '--env');
    const run = (...words: string[]) => jailbuild(['run', jail, ...words, '--', 'cat']);
    assert.match(run('--args', file).stderr, /arguments: each argument ends with a NUL byte/);
    writeFileSync(file, args('--args', '3'));
    assert.match(run('--args', file).stderr, /arguments: --args cannot be within it/);
    writeFileSync(file, args('--nonsense'));
    assert.match(run('--args', file).stderr, /no option --nonsense|nonsense/);
    assert.match(run('--args', `${directory}/none`).stderr, /none: .*no such file/i);
    assert.match(run('--args', '77').stderr, /--args 77: no descriptor of this number is open/);
    assert.match(jailbuild(['run', jail, '--args']).stderr, /--args needs a value/);
    for (const words of [
      ['--args', file],
      ['--args', '77'],
    ])
      assert.equal(run(...words).status, 2);
  });
});
