import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { lstatSync, mkdirSync, readlinkSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import path from 'node:path';
import { test } from 'node:test';
import { jailbuild } from '../support/cli.js';
import { needs, needsRoot } from '../support/need.js';
import { tempDir } from '../support/temp-dir.js';

/** Creates a directory with every file type except regular files. */
async function data(directory: string, t: { after(step: () => void): void }): Promise<string> {
  const made = path.join(directory, 'data');
  mkdirSync(path.join(made, 'inner'), { recursive: true });
  writeFileSync(path.join(made, 'inner/file'), 'x');
  execFileSync('mkfifo', ['-m', '0622', path.join(made, 'inner/pipe')]);
  symlinkSync('nowhere', path.join(made, 'inner/dangling'));
  const server = createServer().listen(path.join(made, 'inner/socket'));
  await once(server, 'listening');
  t.after(() => server.close());
  return made;
}

for (const to of ['', ':/elsewhere']) {
  const name = to === '' ? 'its own place' : 'another place';
  test(
    `fifos and dangling links of an include are copied to ${name}, and sockets reported`,
    needs('mkfifo'),
    async (t) => {
      const directory = tempDir();
      const made = await data(directory, t);
      const jail = path.join(directory, 'jail');
      const { status, stderr } = jailbuild([jail, 'true', '--include', made + to, '--no-sync']);
      assert.equal(status, 0, stderr);
      assert.match(stderr, /data\/inner\/socket: is a socket: left out/);
      const inner = path.join(jail, to === '' ? made : '/elsewhere', 'inner');
      assert.ok(lstatSync(path.join(inner, 'pipe')).isFIFO());
      assert.equal(lstatSync(path.join(inner, 'pipe')).mode & 0o777, 0o622);
      assert.equal(readlinkSync(path.join(inner, 'dangling')), 'nowhere');
      assert.equal(lstatSync(path.join(inner, 'socket'), { throwIfNoEntry: false }), undefined);
    },
  );

  test(`device nodes of an include are copied to ${name}`, needsRoot('mknod'), () => {
    const directory = tempDir();
    const made = path.join(directory, 'data');
    mkdirSync(made);
    execFileSync('mknod', ['-m', '0640', path.join(made, 'null'), 'c', '1', '3']);
    execFileSync('mknod', [path.join(made, 'loop'), 'b', '7', '300']);
    const jail = path.join(directory, 'jail');
    const { status, stderr } = jailbuild([jail, 'true', '--include', made + to, '--no-sync']);
    assert.equal(status, 0, stderr);
    const at = path.join(jail, to === '' ? made : '/elsewhere');
    for (const node of ['null', 'loop']) {
      const [there, here] = [lstatSync(path.join(at, node)), lstatSync(path.join(made, node))];
      assert.deepEqual([there.mode, there.rdev], [here.mode, here.rdev]);
    }
  });
}

test('a single device can be included, and a single socket is reported', needsRoot(), async (t) => {
  const directory = tempDir();
  const made = await data(directory, t);
  const socket = path.join(made, 'inner/socket');
  const jail = path.join(directory, 'jail');
  const words = ['--include', '/dev/null', '--include', socket, '--no-sync'];
  const { status, stderr } = jailbuild([jail, 'true', ...words]);
  assert.equal(status, 0, stderr);
  assert.match(stderr, /socket: is a socket: left out/);
  assert.ok(lstatSync(path.join(jail, 'dev/null')).isCharacterDevice());
});
