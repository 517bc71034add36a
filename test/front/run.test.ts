import assert from 'node:assert/strict';
import { readdirSync, writeFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { exec, type Finished, jailbuild } from '../support/cli.js';
import { needsRoot } from '../support/need.js';
import { tempDir } from '../support/temp-dir.js';
import { ENVIRONMENT, FRONT, NEEDS_FRONT } from './support.js';

const directory = tempDir();
const jail = `${directory}/jail`;
/** With it in the place of the host's, what is remembered is gone with the mount namespace. */
const OWN_CACHE = 'mount -t tmpfs -o mode=0755 tmpfs /var/cache && ';

/** Runs a script as root in a mount namespace of its own; $FRONT is the command, $JAIL the jail. */
function script(text: string): Finished {
  return exec('unshare', ['--mount', 'sh', '-c', OWN_CACHE + text], {
    env: { ...ENVIRONMENT, TERM: 'xterm', FRONT, JAIL: jail, NOWHERE: `${directory}/none` },
  });
}

/** A run that fails with 127 if it takes Node. */
const WITHOUT_NODE = 'PATH=$NOWHERE "$FRONT" run "$JAIL"';
const FIRST = '"$FRONT" run "$JAIL" -- true && ';

describe('a run that is like an earlier one', { ...NEEDS_FRONT, ...needsRoot('unshare') }, () => {
  assert.equal(jailbuild([jail, 'sh', 'env', 'cat', 'grep', 'true', 'sleep', '-q']).status, 0);

  test('takes no Node', () => {
    assert.equal(script(`${WITHOUT_NODE} -- true`).status, 127);
    assert.equal(script(`${FIRST} ${WITHOUT_NODE} -- true`).status, 0);
    assert.equal(script(`${FIRST} ${WITHOUT_NODE} -- sh -c 'exit 7'`).status, 7);
    assert.equal(script(`${FIRST} ${WITHOUT_NODE} -- no-such`).status, 127);
    const through = script(`${FIRST} echo word | ${WITHOUT_NODE} -- cat`);
    assert.deepEqual([through.status, through.stdout], [0, 'word\n']);
  });

  test('sees the jail as the first one saw it', () => {
    const look = `-- sh -c 'env; cat /proc/self/mounts /proc/self/uid_map /proc/sys/kernel/hostname; grep -E "Cap|Seccomp|NoNew|Umask" /proc/self/status; cd /proc/self/ns && for i in *; do test -e $i; done; umask; pwd'`;
    const first = script(`"$FRONT" run "$JAIL" ${look}`);
    const second = script(`${FIRST} ${WITHOUT_NODE} ${look}`);
    assert.equal(first.status, 0, first.stderr);
    assert.match(first.stdout, /TERM=xterm\n/);
    assert.deepEqual(second, first);
    const term = script(`${FIRST} TERM=vt100 ${WITHOUT_NODE} -- env`);
    assert.match(term.stdout, /^TERM=vt100$/m);
  });

  test('has the command of the record', () => {
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

  test('asks Node again for anything else', () => {
    for (const changed of [
      'touch "$JAIL/.jailbuild/record.json"',
      'chmod g+w "$JAIL/.jailbuild"; trap "chmod g-w $JAIL/.jailbuild" EXIT',
      'chmod g+w /var/cache/jailbuild/launch',
      'chmod o+w /var/cache/jailbuild',
      'chmod o+w /var/cache/jailbuild/launch/*',
      'chown 1 /var/cache/jailbuild/launch/*',
      'truncate -s -1 /var/cache/jailbuild/launch/*',
      'truncate -s 0 /var/cache/jailbuild/launch/*',
      'sed -i s/launch.1/launch.0/ /var/cache/jailbuild/launch/*',
      'JAIL=$JAIL/',
      'JAIL=$JAIL/../jail',
      'cd "$JAIL/.." && JAIL=jail',
    ]) {
      const { status, stderr } = script(`${FIRST} { ${changed}; ${WITHOUT_NODE} -- true; }`);
      assert.match(stderr, /node is not on PATH/, changed);
      assert.equal(status, 127, changed);
    }
    assert.equal(script(`${FIRST} ${WITHOUT_NODE} --read-only -- true`).status, 127);
    assert.equal(
      script(`"$FRONT" run "$JAIL" --read-only -- true && ${WITHOUT_NODE} -- true`).status,
      127,
    );
    assert.equal(
      script(
        `node "$(dirname "$FRONT")/../../jailbuild.cjs" run "$JAIL" -- true && ${WITHOUT_NODE} -- true`,
      ).status,
      127,
    );
  });

  test('keeps nothing in the jail, nor for users', needsRoot('setpriv'), () => {
    assert.deepEqual(readdirSync(`${jail}/.jailbuild`).sort(), ['fingerprint.json', 'record.json']);
    const { stdout } = script(
      'setpriv --reuid 65534 --clear-groups "$FRONT" run "$JAIL" -- true; ls /var/cache',
    );
    assert.equal(stdout, '');
  });

  test('ends its command when it is killed', () => {
    const { status, stderr } = script(
      `${FIRST} { ${WITHOUT_NODE} -- sleep 4321 & sleep 0.5; grep -lzs 4321 /proc/[0-9]*/cmdline >/dev/null || exit 9; kill -9 $!; sleep 0.5; ! pgrep -fx "sleep 4321"; }`,
    );
    assert.equal(status, 0, stderr);
  });
});
