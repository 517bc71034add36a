import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { makeOwnDirectory } from '../../src/launcher/own-directory.js';
import { PROJECT } from '../support/cli.js';
import { tempDir } from '../support/temp-dir.js';

describe('the directory of a process', () => {
  const directory = tempDir();
  const own = path.join(directory, 'tmp');
  const running: ChildProcess[] = [];
  const saved = process.env.TMPDIR;
  before(() => {
    mkdirSync(own);
    process.env.TMPDIR = own;
  });
  after(() => {
    for (const child of running) child.kill('SIGKILL');
    if (saved === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = saved;
  });

  const names = () => readdirSync(own).filter((name) => name.startsWith('jailbuild-'));

  /** Creates a directory in another process. */
  const inProcess = async () => {
    const module = path.join(PROJECT, 'src/launcher/own-directory.ts');
    const script = `import { makeOwnDirectory } from '${module}'; console.log(makeOwnDirectory().path); setInterval(() => {}, 1000);`;
    const words = ['--import', 'tsx', '--input-type=module', '-e', script];
    const child = spawn(process.execPath, words, {
      cwd: PROJECT,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    running.push(child);
    let text = '';
    for await (const part of child.stdout) {
      text += String(part);
      if (text.includes('\n')) break;
    }
    const kill = async (): Promise<void> => {
      const ended = new Promise((resolve) => child.on('exit', resolve));
      child.kill('SIGKILL');
      await ended;
    };
    return { path: text.trim(), kill };
  };

  test('is removed by the next one after its process was killed, and not before', async () => {
    const other = await inProcess();
    writeFileSync(path.join(other.path, 'api'), '');
    makeOwnDirectory().remove();
    assert.deepEqual(names(), [path.basename(other.path)]);
    await other.kill();
    makeOwnDirectory().remove();
    assert.deepEqual(names(), []);
  });

  test('is not removed if it may belong to another process', async () => {
    const other = await inProcess();
    await other.kill();
    const name = path.basename(other.path);
    const target = path.join(directory, 'target');
    mkdirSync(target, { mode: 0o700 });
    const [, namespace = ''] = name.split('-');
    const kept = {
      'a link': name,
      'of another PID namespace': name.replace(namespace, `${namespace}0`),
      'with another mode': name.replace(/\w+$/, 'shared'),
      'of nobody': 'jailbuild-network',
    };
    renameSync(other.path, path.join(own, kept['with another mode']));
    chmodSync(path.join(own, kept['with another mode']), 0o755);
    symlinkSync(target, path.join(own, kept['a link']));
    mkdirSync(path.join(own, kept['of another PID namespace']), { mode: 0o700 });
    mkdirSync(path.join(own, kept['of nobody']), { mode: 0o700 });
    makeOwnDirectory().remove();
    assert.deepEqual(names().sort(), Object.values(kept).sort());
    assert.ok(existsSync(target));
  });
});
