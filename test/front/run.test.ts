import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import path from 'node:path';
import { describe, test } from 'node:test';
import { exec, type Finished, jailbuild, PROJECT } from '../support/cli.js';
import { stateNames } from '../support/jail.js';
import { needsRoot } from '../support/need.js';
import { until } from '../support/process.js';
import { tempDir } from '../support/temp-dir.js';
import {
  childrenOf,
  ENVIRONMENT,
  FRONT,
  NEEDS_FRONT,
  nameOf,
  OWN_CACHE,
  stateOf,
} from './support.js';

const directory = tempDir();
const jail = `${directory}/jail`;

const ENV = { ...ENVIRONMENT, TERM: 'xterm', FRONT, JAIL: jail, NOWHERE: `${directory}/none` };

/** Runs a script as root in a mount namespace of its own; $FRONT is the command, $JAIL the jail. */
function script(text: string): Finished {
  return exec('unshare', ['--mount', 'sh', '-c', OWN_CACHE + text], {
    env: ENV,
  });
}

/** A run that returns 127 if it starts Node. */
const WITHOUT_NODE = 'PATH=$NOWHERE "$FRONT" run "$JAIL"';
const FIRST = '"$FRONT" run "$JAIL" -- true && ';

describe('a run that repeats an earlier one', { ...NEEDS_FRONT, ...needsRoot('unshare') }, () => {
  assert.equal(
    jailbuild([jail, 'sh', 'env', 'cat', 'grep', 'true', 'sleep', 'ls', '-q']).status,
    0,
  );

  test('keeps Node from the file of --env-file', () => {
    writeFileSync(`${directory}/required.cjs`, 'console.log("run outside")');
    writeFileSync(
      `${directory}/variables`,
      `NODE_OPTIONS=--require=${directory}/required.cjs\nA=b\n`,
    );
    for (const command of [FRONT, path.join(PROJECT, 'dist/jailbuild')]) {
      const run = (file: string) =>
        exec(command, ['run', jail, '--env-file', file, '--', 'sh', '-c', 'echo $A'], { env: ENV });
      assert.equal(run(`${directory}/variables`).stdout, 'b\n');
      const { stderr, status } = run(`${directory}/none`);
      assert.match(stderr, /^jailbuild: --env-file .*none: no such file/);
      assert.equal(status, 2);
    }
  });

  test('does not start Node', () => {
    assert.equal(script(`${WITHOUT_NODE} -- true`).status, 127);
    assert.equal(script(`${FIRST} ${WITHOUT_NODE} -- true`).status, 0);
    assert.equal(script(`${FIRST} ${WITHOUT_NODE} -- sh -c 'exit 7'`).status, 7);
    assert.equal(script(`${FIRST} ${WITHOUT_NODE} -- no-such`).status, 127);
    const through = script(`${FIRST} echo word | ${WITHOUT_NODE} -- cat`);
    assert.deepEqual([through.status, through.stdout], [0, 'word\n']);
  });

  test('does not start Node for common options, after a run with any', () => {
    const { status, stdout, stderr } = script(
      `"$FRONT" run "$JAIL" --read-only -- true && mkdir /var/cache/data && echo text > /var/cache/data/file &&
      ${WITHOUT_NODE} --bind /var/cache/data:/data:ro --network none --tmpfs /run:size=1m -e A=b --hostname name \
        --user 1000:50 --workdir /data --memory 64m --pids-limit 20 --umask 077 --cap-drop ALL --read-only -- \
        sh -c 'cat file /proc/sys/kernel/hostname; echo "$A $PWD $(umask) $HOME"; grep -E "Uid|Gid|CapBnd" /proc/self/status;
          grep -c : /proc/net/dev; grep -oE " (/|/run|/data) (tmpfs|ext4|overlay|xfs|btrfs)? ?r[ow]" /proc/self/mounts'`,
    );
    assert.deepEqual([status, stderr], [0, '']);
    assert.match(
      stdout,
      /^text\nname\nb \/data 0077 \/\nUid:(\t1000){4}\nGid:(\t50){4}\nCapBnd:\t0{16}\n1\n/,
    );
  });

  test('gives the same environment, namespaces and privileges as the first', () => {
    const look = `-- sh -c 'env; cat /proc/self/mounts /proc/self/uid_map /proc/sys/kernel/hostname; grep -E "Cap|Seccomp|NoNew|Umask" /proc/self/status; cd /proc/self/ns && for i in *; do test -e $i; done; umask; pwd'`;
    const first = script(`"$FRONT" run "$JAIL" ${look}`);
    const second = script(`${FIRST} ${WITHOUT_NODE} ${look}`);
    assert.equal(first.status, 0, first.stderr);
    assert.match(first.stdout, /TERM=xterm\n/);
    assert.deepEqual(second, first);
    const term = script(`${FIRST} TERM=vt100 ${WITHOUT_NODE} -- env`);
    assert.match(term.stdout, /^TERM=vt100$/m);
  });

  test('uses the recorded command', () => {
    const file = `${directory}/jail.yaml`;
    const [other, text] = [
      `${directory}/other`,
      'programs: [sh, env]\nrun:\n  command: [sh, -c, echo $0 $WORD, x]\n  env: [WORD=recorded]\n',
    ];
    writeFileSync(file, text);
    assert.equal(jailbuild([other, '--file', file, '-q']).status, 0);
    const { status, stdout, stderr } = script(
      `JAIL=${other}; "$FRONT" run "$JAIL" && ${WITHOUT_NODE} && ${WITHOUT_NODE} -- && ${WITHOUT_NODE} -- env | grep WORD`,
    );
    assert.deepEqual(
      [status, stderr, stdout],
      [0, '', `${'x recorded\n'.repeat(3)}WORD=recorded\n`],
    );
  });

  test('starts Node if anything differs', () => {
    for (const changed of [
      'touch "$JAIL/.jailbuild/record.json"',
      'chmod g+w "$JAIL/.jailbuild"; trap "chmod g-w $JAIL/.jailbuild" EXIT',
      // A group with members other than root.
      'chgrp 65534 /var/cache/jailbuild/launch; chmod g+w /var/cache/jailbuild/launch',
      'chmod o+w /var/cache/jailbuild/launch',
      'chmod o+w /var/cache/jailbuild',
      'chmod o+w /var/cache/jailbuild/launch/*',
      'chown 1 /var/cache/jailbuild/launch/*',
      'truncate -s -1 /var/cache/jailbuild/launch/*',
      'truncate -s 0 /var/cache/jailbuild/launch/*',
      'sed -i s/launch.2/launch.0/ /var/cache/jailbuild/launch/*',
      'JAIL=$JAIL/',
      'JAIL=$JAIL/../jail',
      'cd "$JAIL/.." && JAIL=jail',
    ]) {
      const { status, stderr } = script(`${FIRST} { ${changed}; ${WITHOUT_NODE} -- true; }`);
      assert.match(stderr, /node is not on PATH/, changed);
      assert.equal(status, 127, changed);
    }
    // Without a helper.
    assert.equal(script(`${FIRST} ${WITHOUT_NODE} --network outgoing -- true`).status, 127);
    assert.equal(
      script(
        `node "$(dirname "$FRONT")/../../jailbuild.cjs" run "$JAIL" -- true && ${WITHOUT_NODE} -- true`,
      ).status,
      127,
    );
  });

  test(
    'does not store its cache in the jail, and stores none for users other than root',
    needsRoot('setpriv'),
    () => {
      assert.deepEqual(stateNames(jail), ['mount-points', 'record.json']);
      const { stdout } = script(
        'setpriv --reuid 65534 --clear-groups "$FRONT" run "$JAIL" -- true; ls /var/cache',
      );
      assert.equal(stdout, '');
    },
  );

  describe('with a network of slirp4netns', needsRoot('slirp4netns'), () => {
    const helpers = `${directory}/helpers`;
    /** A run that returns 127 if it starts Node; $1 is the helper. */
    const withHelper = (helper: string, words: string) =>
      script(
        `${FIRST} mkdir -p ${helpers} && ln -sf ${helper} ${helpers}/slirp4netns && NOWHERE=${helpers}; ${WITHOUT_NODE} --network outgoing ${words}`,
      );
    const real = exec('sh', ['-c', 'command -v slirp4netns']).stdout.trim();
    /** Processes that have ended do not count: their parent may not wait for them. */
    const leftHelpers = () =>
      exec('ps', ['-C', 'slirp4netns', '-o', 'stat=,args=']).stdout.replace(/^Z.*\n/gm, '');

    test('does not start Node, and ends the helper', () => {
      const before_ = leftHelpers();
      const look = '-- sh -c "cat /etc/resolv.conf /proc/net/route; ls /proc/self/fd; exit 7"';
      const ran = withHelper(real, look);
      const { status, stdout, stderr } = ran;
      assert.deepEqual([status, stderr], [7, '']);
      assert.match(stdout, /^nameserver 10\.0\.2\.3\n/);
      assert.match(stdout, /^tap0\t00000000\t/m);
      assert.match(stdout, /\n0\n1\n2\n3\n$/);
      assert.equal(leftHelpers(), before_);
      // The first run, which is one of Node.
      assert.deepEqual(script(`"$FRONT" run "$JAIL" --network outgoing ${look}`), ran);
    });

    test('reports a helper that makes none, as the script does', () => {
      const helper = `${directory}/failing`;
      const text = '#!/bin/sh\necho first; printf "it\\t failed\\n" >&2; exit 3\n';
      writeFileSync(helper, text, { mode: 0o755 });
      const { status, stdout, stderr } = withHelper(helper, '-- true');
      assert.deepEqual(
        [status, stdout, stderr],
        [
          125,
          '',
          'jailbuild: slirp4netns: gives the jail no network: it\\x09 failed: try --network pasta, or host\n',
        ],
      );
      const byNode = script(
        `PATH=${helpers}:$PATH "$FRONT" run "$JAIL" --network outgoing --no-init --verbose -- true`,
      );
      // Node may first say which start it takes (--verbose).
      assert.ok(byNode.stderr.endsWith(stderr), byNode.stderr);
    });

    test('ends a helper that ignores requests to end', { timeout: 60_000 }, async () => {
      const before_ = leftHelpers();
      const helper = `${directory}/ignoring`;
      writeFileSync(helper, `#!/bin/sh\ntrap "" TERM\nexec ${real} "$@"\n`, { mode: 0o755 });
      const { status, stderr } = withHelper(helper, '-- sh -c "exit 7"');
      assert.deepEqual([status, stderr], [7, '']);
      await until(() => leftHelpers() === before_, 'the helper has ended');
    });

    test('does not wait for what a helper leaves behind', { timeout: 60_000 }, () => {
      const [helper, left] = [`${directory}/leaving`, `${directory}/left`];
      const text = `#!/bin/sh\nsleep 600 &\necho $! > ${left}\nexec ${real} "$@"\n`;
      writeFileSync(helper, text, { mode: 0o755 });
      for (const option of ['', '--verbose']) {
        const run = `PATH=${helpers}:$PATH "$FRONT" run "$JAIL" --network outgoing ${option}`;
        const { status } = script(
          `${FIRST} mkdir -p ${helpers} && ln -sf ${helper} ${helpers}/slirp4netns && ${run} -- sh -c "exit 7"`,
        );
        process.kill(Number(readFileSync(left, 'utf8')));
        assert.equal(status, 7);
      }
    });

    for (const [how, command] of [
      ['the front', '"$FRONT"'],
      ['Node', `${process.execPath} ${path.join(PROJECT, 'dist/jailbuild.cjs')}`],
    ]) {
      for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGKILL'] as const) {
        const whom = signal === 'SIGKILL' ? 'at its launcher' : 'at once';
        test(`${how} ends with ${signal} ${whom} while a helper makes no network`, async (t) => {
          const waiting = `${directory}/waiting`;
          mkdirSync(waiting, { recursive: true });
          const helper = '#!/bin/sh\nexec sleep 600\n';
          writeFileSync(`${waiting}/slirp4netns`, helper, { mode: 0o755 });
          const run = `PATH=${waiting}:$PATH; exec ${command} run "$JAIL" --network outgoing`;
          const text = `${OWN_CACHE} ${FIRST} ${run} -- echo started`;
          const child = spawn('unshare', ['--mount', 'sh', '-c', text], {
            env: ENV,
            stdio: ['ignore', 'pipe', 'pipe'],
          });
          const { pid = -1 } = child;
          t.after(() => child.kill('SIGKILL'));
          let said = '';
          for (const stream of [child.stdout, child.stderr]) {
            stream.on('data', (chunk: Buffer) => {
              said += chunk;
            });
          }
          const ended = new Promise((resolve) => child.once('close', (...all) => resolve(all)));
          const isHelper = (one: number) => childrenOf(one).some((two) => nameOf(two) === 'sleep');
          await until(() => childrenOf(pid).some(isHelper), 'the helper runs');
          const begun = Date.now();
          const launcher = childrenOf(pid).find((one) => !isHelper(one)) ?? -1;
          process.kill(signal === 'SIGKILL' ? launcher : pid, signal);
          assert.deepEqual(await ended, [128 + constants.signals[signal], null]);
          assert.equal(said, '');
          // A helper may take ten seconds.
          assert.ok(Date.now() - begun < 8000);
        });
      }
    }

    for (const signal of ['SIGKILL', 'SIGTERM'] as const) {
      test(`ends the helper after ${signal}`, async (t) => {
        const before_ = leftHelpers();
        const run = `${WITHOUT_NODE.replace('"$FRONT"', 'exec "$FRONT"')} --network outgoing`;
        const text = `${OWN_CACHE} ${FIRST} NOWHERE=${helpers}; ln -sf ${real} ${helpers}/slirp4netns; ${run} -- sleep 600`;
        const child = spawn('unshare', ['--mount', 'sh', '-c', text], {
          env: ENV,
          stdio: 'ignore',
        });
        const { pid = -1 } = child;
        t.after(() => child.kill('SIGKILL'));
        const ended = new Promise((resolve) => child.once('exit', (...how) => resolve(how)));
        const below = (from: number): number[] =>
          childrenOf(from).flatMap((one) => [one, ...below(one)]);
        const names = () => below(pid).map(nameOf);
        await until(() => names().includes('sleep'), 'the command runs');
        assert.ok(names().includes('slirp4netns'));
        child.kill(signal);
        assert.deepEqual(await ended, signal === 'SIGKILL' ? [null, signal] : [143, null]);
        await until(() => leftHelpers() === before_, 'the helper has ended');
      });
    }
  });

  for (const signal of ['SIGKILL', 'SIGTERM'] as const) {
    test(`forwards ${signal}, or ends its command with it`, async (t) => {
      const text = `${OWN_CACHE} ${FIRST} PATH=$NOWHERE exec "$FRONT" run "$JAIL" -- sleep 600`;
      const child = spawn('unshare', ['--mount', 'sh', '-c', text], { env: ENV, stdio: 'ignore' });
      const { pid = -1 } = child;
      t.after(() => child.kill('SIGKILL'));
      const ended = new Promise((resolve) => child.once('exit', (...how) => resolve(how)));
      // The launcher, the first process of the jail, and the command.
      const down = (from: number): number => childrenOf(from)[0] ?? -1;
      const isUp = () => nameOf(down(down(down(pid)))) === 'sleep';
      await until(isUp, 'the command runs');
      const command = down(down(down(pid)));
      child.kill(signal);
      assert.deepEqual(await ended, signal === 'SIGKILL' ? [null, signal] : [143, null]);
      await until(() => [undefined, 'Z'].includes(stateOf(command)), 'the command has ended');
    });
  }

  test('passes on no descriptors except the standard streams', () => {
    const { stdout } = script(`${FIRST} ${WITHOUT_NODE} -- sh -c 'ls /proc/self/fd' 9</dev/null`);
    assert.match(stdout, /^0\n1\n2\n3\n$/);
  });

  test('returns the status to a caller that ignores the ends of children', () => {
    const ignoring = `timeout -s KILL 60 bash -c 'trap "" CHLD; exec "$@"' bash`;
    const { status } = script(`${FIRST} ${ignoring} "$FRONT" run "$JAIL" -- sh -c 'exit 7'`);
    assert.equal(status, 7);
  });

  test('suggests prove if a command does not start', () => {
    const first = script('"$FRONT" run "$JAIL" -- no-such "a b"');
    assert.match(first.stderr, /prove/);
    assert.deepEqual(script(`${FIRST} ${WITHOUT_NODE} -- no-such "a b"`), first);
  });
});
