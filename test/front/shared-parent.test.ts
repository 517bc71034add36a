import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { after, before, describe, type TestContext, test } from 'node:test';
import { snapshot } from '../jail/support.js';
import { exec, jailbuild } from '../support/cli.js';
import { needsRoot } from '../support/need.js';
import { until } from '../support/process.js';
import { CountingFront, FRONT, NEEDS_FRONT, stopFrontAt } from './support.js';

/** A group without members, and a user who nevertheless has its rights. */
const GROUP = 50_123;
const ATTACKER = 51_234;

// Outside /tmp, where no directory on the way is sticky.
let directory = '';
let counting: CountingFront;
let made = 0;

const sysroot = () => `${directory}/sysroot`;
const parent = () => `${directory}/parent`;
const fresh = () => `${parent()}/j${++made}`;
const words = (jail: string) => [jail, 'ls', '--sysroot', sysroot(), '--no-sync'];
const stageOf = (jail: string) => `${path.dirname(jail)}/.${path.basename(jail)}.jailbuild`;
/** Everything in a jail but its state, without the numbers of the inodes. */
const filesOf = (jail: string) =>
  snapshot(jail)
    .filter((line) => !line.includes('.jailbuild'))
    .map((line) => line.replace(/( \d+:\d+ \d+) \d+ /, '$1 '));

/** Builds jails until one needs no Node: files must not have changed within the last seconds. */
async function repeated(): Promise<string> {
  return until(() => {
    const jail = fresh();
    const result = counting.run(words(jail));
    assert.equal(result.status, 0, result.stderr);
    return result.starts === 0 && jail;
  }, 'a jail is built without Node');
}

/** Runs shell commands in the parent directory as the user with the rights of the group. */
function attack(script: string, ...args: readonly string[]): void {
  const { status, stderr } = spawnSync('sh', ['-c', script, 'sh', ...args], {
    cwd: parent(),
    uid: ATTACKER,
    gid: GROUP,
    encoding: 'utf8',
  });
  assert.equal(status, 0, stderr);
}

describe('a build without Node, where a group may write to the parent directory', {
  ...NEEDS_FRONT,
  ...needsRoot('sh', 'strace', 'unshare', 'mount', 'setfacl'),
}, () => {
  before(() => {
    directory = mkdtempSync('/var/lib/jailbuild-test-');
    chmodSync(directory, 0o755);
    counting = new CountingFront(directory);
    mkdirSync(parent());
    chownSync(parent(), 0, GROUP);
    chmodSync(parent(), 0o2775);
    assert.equal(jailbuild([sysroot(), 'ls', 'cat', '--no-record', '-q']).status, 0);
  });
  after(() => rmSync(directory, { recursive: true, force: true }));

  test('makes the jail of Node if the group has no members', async () => {
    const jail = await repeated();
    const other = fresh();
    const byNode = jailbuild([...words(other), '--no-cache'], { env: counting.env });
    assert.equal(byNode.status, 0, byNode.stderr);
    assert.deepEqual(filesOf(jail), filesOf(other));
    const ofRoot = (root: string) => {
      const { mode, uid, gid } = lstatSync(root);
      return [mode, uid, gid];
    };
    assert.deepEqual(ofRoot(jail), ofRoot(other));
  });

  const PASSWD = 'root:x:0:0::/:/bin/sh\ntoor:x:0:0::/:/bin/sh\nother:x:51234:51234::/:/bin/sh\n';
  const GROUPS = 'root:x:0:\n';
  const tables: readonly (readonly [string, boolean, string, string])[] = [
    ['nobody is in the group', true, PASSWD, `${GROUPS}made:x:${GROUP}:\n`],
    ['only root is in the group', true, PASSWD, `${GROUPS}made:x:${GROUP}:root,toor\n`],
    ['a user is in the group', false, PASSWD, `${GROUPS}made:x:${GROUP}:root,other\n`],
    ['a user is in a group of the same number', false, PASSWD, `a:x:${GROUP}:\nb:x:${GROUP}:other`],
    ['it is the own group of a user', false, `${PASSWD}own:x:7:${GROUP}::/:/bin/sh\n`, GROUPS],
    ['a member is no user', false, PASSWD, `made:x:${GROUP}:nobody-knows\n`],
  ];
  for (const [what, isRepeated, passwd, group] of tables) {
    test(`is ${isRepeated ? 'repeated' : 'refused by Node'} if ${what}`, async () => {
      writeFileSync(`${directory}/passwd`, passwd);
      writeFileSync(`${directory}/group`, group);
      const run = (script: string, jail: string) => {
        const begun = counting.started;
        const line = ['-m', 'sh', '-c', `${script} exec "$@"`, directory, FRONT, ...words(jail)];
        const { status, stderr } = exec('unshare', line, { env: counting.env });
        return { status, stderr, starts: counting.started - begun };
      };
      // A shell adds variables, and a build belongs to its environment.
      await until(() => run('', fresh()).starts === 0, 'a jail is built without Node');
      const jail = fresh();
      const { status, starts, stderr } = run(
        'mount --bind "$0/passwd" /etc/passwd && mount --bind "$0/group" /etc/group &&',
        jail,
      );
      assert.deepEqual([status, starts], isRepeated ? [0, 0] : [1, 1], stderr);
      if (!isRepeated) assert.match(stderr, /is writable by group 50123, with /);
      assert.equal(existsSync(jail), isRepeated);
    });
  }

  test('is left to Node if a list gives rights to others', async () => {
    await repeated();
    assert.equal(exec('setfacl', ['-m', `u:${ATTACKER}:rwx`, parent()]).status, 0);
    try {
      assert.equal(counting.run(words(fresh())).starts, 1);
    } finally {
      exec('setfacl', ['-b', parent()]);
      chmodSync(parent(), 0o2775);
    }
  });

  /** What somebody with the rights of the group could do to the entries of the parent at any time. */
  const attacks: Readonly<Record<string, string>> = {
    'a link to elsewhere in place of the stage': 'mv "$1" "$1.aside" && ln -s "$3" "$1"',
    'another directory in place of the stage, with links':
      'mv "$1" "$1.aside" && mkdir -m 777 "$1" && ln -s "$3" "$1/usr" && ln -s "$3" "$1/.jailbuild"',
    'no stage': 'mv "$1" "$1.aside"',
    'a link to elsewhere in place of the jail': 'ln -s "$3" "$2"',
    'another directory in place of the jail': 'mkdir -m 777 "$2" && ln -s "$3" "$2/usr"',
  };
  /** The last calls before the rename, of which Node could not know either who changes a name after them. */
  const LAST = 'newfstatat';
  const steps: readonly (readonly [call: string, when: number])[] = [
    ['flock', 1],
    ['mkdirat', 1],
    ['copy_file_range', 1],
    ['symlinkat', 1],
    ['utimensat', 1],
    ['fchmod', 9],
    ['openat2', 9],
    [LAST, 99],
  ];

  async function attackAt(
    t: TestContext,
    call: string,
    when: number,
    script: string,
  ): Promise<void> {
    await repeated();
    const outside = mkdtempSync(`${directory}/outside-`);
    mkdirSync(`${outside}/bin`);
    writeFileSync(`${outside}/bin/ls`, 'secret', { mode: 0o600 });
    writeFileSync(`${outside}/record.json`, 'secret', { mode: 0o600 });
    const [jail, untouched, begun] = [fresh(), snapshot(outside), counting.started];
    const stopped = await stopFrontAt(t, call, words(jail), {
      when,
      env: counting.env,
      trace: `${directory}/trace-${made}`,
    });
    assert.equal(counting.started, begun);
    attack(script, path.basename(stageOf(jail)), path.basename(jail), outside);
    const { status, stderr } = await stopped.finish();
    assert.deepEqual(snapshot(outside), untouched, stderr);
    if (call === LAST) return;
    // The front has noticed it, or has not met it.
    const isNoticed = counting.started > begun || status !== 0;
    const isWhole = lstatSync(jail, { throwIfNoEntry: false })?.uid === 0;
    assert.ok(isNoticed || isWhole, `${status} ${stderr}`);
    if (status === 0) assert.ok(readFileSync(`${jail}/usr/bin/ls`).length > 1000);
  }

  for (const [call, when] of steps) {
    for (const [what, script] of Object.entries(attacks)) {
      test(`writes nothing elsewhere: at ${call} ${when}, ${what}`, (t) =>
        attackAt(t, call, when, script));
    }
  }
});
