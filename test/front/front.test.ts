import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { closeSync, existsSync, lstatSync, openSync, readdirSync, readFileSync } from 'node:fs';
import { describe, type TestContext, test } from 'node:test';
import { exec, jailbuild as runScript } from '../support/cli.js';
import { needs, needsRoot } from '../support/need.js';
import { until } from '../support/process.js';
import { tempDir } from '../support/temp-dir.js';
import {
  childrenOf,
  ENVIRONMENT,
  FRONT,
  NEEDS_FRONT,
  OWN_CACHE,
  type Running,
  startFront,
  stateOf,
} from './support.js';

const directory = tempDir();
const jailbuild = (args: readonly string[]) => runScript(args, { env: ENVIRONMENT });
const front = (args: readonly string[]) => exec(FRONT, args, { env: ENVIRONMENT });

/** Starts a build that waits for the lock of its jail during the test. */
async function startWaiting(
  t: TestContext,
  jail: string,
  wrapper: readonly string[] = [],
): Promise<Running> {
  assert.equal(jailbuild([jail, 'ls', '--quiet']).status, 0);
  const holder = spawn('flock', [`${jail}/.jailbuild`, 'sleep', '600'], { detached: true });
  t.after(() => process.kill(-(holder.pid ?? 0), 'SIGKILL'));
  await until(() => childrenOf(holder.pid ?? -1).length > 0, 'the lock is held');
  const running = startFront([jail, 'cat', '--wait'], { detached: wrapper.length === 0 }, wrapper);
  t.after(() => {
    if (stateOf(running.pid) !== undefined) running.child.kill('SIGKILL');
  });
  await until(() => running.said().includes('waiting'), 'the build waits');
  return running;
}

function nodeOf({ pid }: Running): number {
  const [node, ...others] = childrenOf(pid);
  assert.ok(node !== undefined && others.length === 0);
  return node;
}

describe('the native front', NEEDS_FRONT, () => {
  test('reports a standard output that is closed', () => {
    const archive = ['export', '/bin/true', '--to', 'tar:-'];
    for (const words of [archive, ['tree', '/bin/true'], ['tree', '/bin/true']]) {
      const { status, stderr } = exec('sh', ['-c', '"$0" "$@" >&-', FRONT, ...words], {
        env: ENVIRONMENT,
      });
      assert.equal(status, 1, words.join(' '));
      assert.match(stderr, /^jailbuild: standard output: bad file descriptor\n/m);
    }
  });

  test('builds the same jail as the script, with the same output', () => {
    const [one, other] = [`${directory}/one/jail`, `${directory}/other/jail`];
    const byFront = front([one, 'env', 'ls', 'sh', '--digests']);
    const byScript = jailbuild([other, 'env', 'ls', 'sh', '--digests']);
    assert.equal(byFront.stdout, byScript.stdout);
    assert.equal(byFront.stderr, byScript.stderr);
    assert.equal(byFront.status, 0);
    const record = (jail: string) => readFileSync(`${jail}/.jailbuild/record.json`, 'utf8');
    assert.ok(record(one) === record(other));
    const facts = (jail: string) =>
      readdirSync(jail, { recursive: true, encoding: 'utf8' })
        .sort()
        .filter((name) => !name.startsWith('.jailbuild'))
        .map((name) => {
          const { mode, uid, gid, size, mtimeMs } = lstatSync(`${jail}/${name}`);
          return [name, mode, uid, gid, size, mtimeMs];
        });
    assert.deepEqual(facts(one), facts(other));
    for (const args of [
      ['update', one],
      ['check', one],
      [one, 'env', 'ls', 'sh'],
      ['remove', one],
    ]) {
      assert.equal(front(args).status, 0, args.join(' '));
    }
    assert.equal(existsSync(one), false);
  });

  test('returns the status of the program', () => {
    for (const args of [['--version'], [`${directory}/none`, 'no-such-program'], ['check']]) {
      assert.deepEqual(front(args), jailbuild(args), args.join(' '));
    }
  });

  test('runs the writer for large jails, whose replies exceed a pipe buffer', needsRoot(), () => {
    const jail = `${directory}/large`;
    const host = `${directory}/host`;
    assert.equal(
      exec('sh', ['-c', `mkdir -p ${host} && cd ${host} && seq 9000 | xargs touch`]).status,
      0,
    );
    const { status, stderr } = front([jail, 'ls', '--include', `${host}:/data`, '--no-sync', '-q']);
    assert.deepEqual([status, stderr], [0, '']);
    assert.equal(readdirSync(`${jail}/data`).length, 9000);
  });

  test('leaves no descriptors or variables to the programs it starts', needsRoot('unshare'), () => {
    const jail = `${directory}/streams`;
    const words = ['sh', '-c', 'ls /proc/self/fd; env'];
    const build = [jail, 'sh', 'ls', 'cat', 'env', '--quiet', '--run', '--', ...words];
    const shown = exec(
      'unshare',
      ['--mount', 'sh', '-c', `${OWN_CACHE} exec "$@"`, '-', FRONT, ...build],
      {
        env: ENVIRONMENT,
      },
    );
    assert.equal(shown.status, 0, shown.stderr);
    assert.match(shown.stdout, /^0\n1\n2\n3\n(?!\d)/);
    assert.doesNotMatch(shown.stdout, /JAILBUILD|GLIBC/);
    const through = exec(FRONT, ['run', jail, '--env', 'A=b', '--', 'cat'], {
      env: ENVIRONMENT,
      input: 'word',
    });
    assert.deepEqual([through.status, through.stdout], [0, 'word']);
  });

  test('continues if nobody reads its output', () => {
    const jail = `${directory}/unread`;
    const { status } = exec(
      'sh',
      ['-c', `"$0" ${jail} env ls -v | true; test -x ${jail}/bin/ls`, FRONT],
      {
        env: ENVIRONMENT,
      },
    );
    assert.equal(status, 0);
  });

  test('works with closed standard streams', () => {
    const jail = `${directory}/closed`;
    const { status } = exec('sh', ['-c', `exec "$0" ${jail} ls -q <&- >&- 2>&-`, FRONT], {
      env: ENVIRONMENT,
    });
    assert.equal(status, 0);
    assert.equal(jailbuild(['check', jail]).status, 0);
  });

  for (const [signal, status] of [
    ['SIGTERM', 143],
    ['SIGINT', 130],
    ['SIGHUP', 129],
  ] as const) {
    test(`forwards ${signal}, and ends as the program does`, needs('flock'), async (t) => {
      const jail = `${directory}/${signal}`;
      const running = await startWaiting(t, jail);
      process.kill(running.pid, signal);
      const ended = await running.ended;
      assert.equal(ended.status, status);
      assert.match(ended.stderr, new RegExp(`ended by ${signal}, nothing was changed`));
      assert.equal(existsSync(`${jail}/bin/cat`), false);
    });
  }

  test(
    'forwards a signal only once if a terminal sends it to both processes',
    needs('flock'),
    async (t) => {
      const running = await startWaiting(t, `${directory}/group`);
      process.kill(-running.pid, 'SIGINT');
      assert.equal((await running.ended).status, 130);
    },
  );

  test('ends by the signal that ends Node', needs('flock'), async (t) => {
    const running = await startWaiting(t, `${directory}/killed`);
    process.kill(nodeOf(running), 'SIGKILL');
    const { status, signal } = await running.ended;
    assert.deepEqual([status, signal], [null, 'SIGKILL']);
  });

  test('ends Node when it is killed', needs('flock'), async (t) => {
    const running = await startWaiting(t, `${directory}/orphan`);
    const node = nodeOf(running);
    process.kill(running.pid, 'SIGKILL');
    await running.ended;
    await until(() => [undefined, 'Z'].includes(stateOf(node)), 'Node is gone');
  });

  test(
    'stops and continues together with Node, as a job of a shell',
    needs('flock', 'perl'),
    async (t) => {
      // A separate process group in its parent's session, as job control creates it.
      const wrapper = ['perl', '-e', 'setpgrp(0, 0); exec @ARGV', '--'];
      const running = await startWaiting(t, `${directory}/stopped`, wrapper);
      const node = nodeOf(running);
      for (const to of [running.pid, -running.pid]) {
        process.kill(to, 'SIGTSTP');
        await until(
          () => stateOf(running.pid) === 'T' && stateOf(node) === 'T',
          'both are stopped',
        );
        process.kill(to, 'SIGCONT');
        await until(() => stateOf(running.pid) === 'S' && stateOf(node) === 'S', 'both go on');
      }
      process.kill(running.pid, 'SIGTERM');
      assert.equal((await running.ended).status, 143);
    },
  );

  test('reports what is missing', () => {
    const { status, stderr } = exec(FRONT, ['--version'], { env: { PATH: directory } });
    assert.equal(status, 127);
    assert.match(stderr, /^jailbuild: node is not on PATH: install Node 20\.19 or later\n$/);
  });
});

test('a descriptor that the caller opened stays open in Node', NEEDS_FRONT, () => {
  const fd = openSync('/proc/self/exe', 'r');
  try {
    const { status, stdout } = exec(
      'sh',
      ['-c', `exec 9</bin/ls; exec "$0" inspect /dev/fd/9`, FRONT],
      {
        env: ENVIRONMENT,
      },
    );
    assert.equal(status, 0);
    assert.match(stdout, /ELF/);
  } finally {
    closeSync(fd);
  }
});
