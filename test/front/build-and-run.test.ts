import assert from 'node:assert/strict';
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { before, describe, test } from 'node:test';
import { exec, jailbuild } from '../support/cli.js';
import { needsRoot } from '../support/need.js';
import { tempDir } from '../support/temp-dir.js';
import { ENVIRONMENT, FRONT, NEEDS_FRONT, OWN_CACHE } from './support.js';

const directory = tempDir();
const [sysroot, jails] = [`${directory}/sysroot`, `${directory}/jails`];
/** The words of each start of Node, a line each. */
const starts = `${directory}/starts`;
let made = 0;

/** Returns the path of a jail that does not exist yet. */
function fresh(): string {
  return `${jails}/j${++made}`;
}

/**
 * Runs a script as root in a mount namespace of its own. `node` notes that it starts; `again WORD...` repeats a command
 * until what it starts is as the variable `expected` says, since files must not have changed within the last seconds.
 */
function script(text: string, variables: Readonly<Record<string, string>> = {}) {
  const tools = `
    started() { sed -E 's/.*jailbuild.cjs (run)?.*/node \\1/' < ${starts}; }
    again() {
      for i in $(seq 100); do
        : > ${starts}; "$@" > ${directory}/out 2> ${directory}/err; status=$?
        test "$(started)" = "$expected" && break; sleep .1; n=$((n + 1))
      done
      echo "[$(started)] $status"; cat ${directory}/out; cat ${directory}/err >&2
    }
    # They would be part of what names a command.
    export -n JAIL SYSROOT; n=0
    `;
  const env = { ...ENVIRONMENT, PATH: `${directory}/bin:${ENVIRONMENT.PATH}`, FRONT, ...variables };
  const { status, stdout, stderr } = exec(
    'unshare',
    ['--mount', 'bash', '-c', OWN_CACHE + tools + text],
    { env },
  );
  assert.equal(status, 0, stderr);
  return { stdout, stderr };
}

const COMMAND = '"$FRONT" "$JAIL" sh cat --sysroot "$SYSROOT" -q --no-sync --run --';

describe('a build with --run, repeated', { ...NEEDS_FRONT, ...needsRoot('unshare') }, () => {
  before(() => {
    mkdirSync(jails);
    mkdirSync(`${directory}/bin`);
    exec('sh', [
      '-c',
      `printf '#!/bin/sh\\necho "$*" >> ${starts}\\nexec ${process.execPath} "$@"\\n' > ${directory}/bin/node
       chmod 755 ${directory}/bin/node`,
    ]);
    assert.equal(jailbuild([sysroot, 'sh', 'cat', 'grep', '--no-record', '-q']).status, 0);
  });

  test('enters an unchanged jail without Node, with its status and output', () => {
    const jail = fresh();
    const variables = { JAIL: jail, SYSROOT: sysroot, expected: '' };
    const { stdout, stderr } = script(
      `given() { echo word | ${COMMAND} sh -c 'cat; echo "$0 $1"; echo err >&2; exit 7' 'a  b' '*'; }; again given`,
      variables,
    );
    assert.equal(stdout, '[] 7\nword\na  b *\n');
    assert.equal(stderr, 'err\n');
  });

  test('prints the output of the build first', () => {
    const variables = { JAIL: fresh(), SYSROOT: sysroot, expected: '' };
    const { stdout } = script(
      `again "$FRONT" "$JAIL" cat --sysroot "$SYSROOT" --run -- cat /proc/sys/kernel/ostype`,
      variables,
    );
    assert.match(stdout, /^\[\] 0\n(.*\n)*.*cat : \[.*\]\n(.*\n)*Linux\n$/);
  });

  test('reports a command that the jail lacks as run does', () => {
    const jail = fresh();
    const variables = { JAIL: jail, SYSROOT: sysroot, expected: '' };
    const { stdout, stderr } = script(`again ${COMMAND} no-such`, variables);
    assert.equal(stdout, '[] 127\n');
    assert.match(stderr, new RegExp(`\`jailbuild prove ${jail} -- no-such\` reports`));
  });

  test('builds a new jail without Node and runs it by Node, with the same signals, limits and descriptors', () => {
    const shown = `cat /proc/self/status /proc/self/limits; echo /proc/self/fd/*`;
    const facts = (text: string) =>
      text.split('\n').filter((line) => /^(Sig|Max|\/proc|Umask|NoNew|Cap)/.test(line));
    const variables = { JAIL: `${jails}/new`, SYSROOT: sysroot, expected: 'node run' };
    const { stdout } = script(
      `repeat() { JAIL=${jails}/new$((n += 1)); ${COMMAND} sh -c '${shown}'; last=$JAIL; }
       again repeat; echo ---; "$FRONT" run $last -- sh -c '${shown}'`,
      variables,
    );
    const [byBuild = '', byRun = ''] = stdout.split('---\n');
    assert.match(byBuild, /^\[node run\] 0\n/);
    assert.deepEqual(facts(byBuild), facts(byRun));
    assert.ok(facts(byRun).length > 20);
  });

  test('holds no lock on the jail while the command runs', () => {
    const variables = { JAIL: '', SYSROOT: sysroot, expected: 'node run' };
    const { stdout } = script(
      `repeat() { JAIL=${jails}/lock$((n += 1)); ${COMMAND} sh -c 'echo ready; cat'; }
       again repeat < /dev/null
       JAIL=${jails}/locked; mkfifo ${directory}/hold
       ${COMMAND} sh -c 'echo ready; cat' < <(exec cat ${directory}/hold) > ${directory}/ready &
       exec 9> ${directory}/hold
       until grep -q ready ${directory}/ready; do sleep .1; done
       "$FRONT" "$JAIL" grep --sysroot "$SYSROOT" -q; echo extended $?
       exec 9>&-; wait $!; echo ended $?`,
      variables,
    );
    assert.equal(stdout, '[node run] 0\nready\nextended 0\nended 0\n');
    assert.ok(existsSync(`${jails}/locked/usr/bin/grep`));
  });

  test('is made by Node if the host or the jail has changed', () => {
    const variables = { JAIL: fresh(), SYSROOT: sysroot, expected: '' };
    const own = { ...variables, SYSROOT: `${directory}/other` };
    exec('cp', ['-a', sysroot, own.SYSROOT]);
    const { stdout } = script(
      `again ${COMMAND} sh -c :; echo changed >> "$SYSROOT/etc/nsswitch.conf"; : > ${starts}
       ${COMMAND} cat /etc/nsswitch.conf | tail -n 1; started
       rm "$JAIL/etc/nsswitch.conf"; : > ${starts}; ${COMMAND} cat /etc/nsswitch.conf | tail -n 1; started`,
      own,
    );
    assert.equal(stdout, '[] 0\nchanged\nnode \nchanged\nnode \n');
    rmSync(own.SYSROOT, { recursive: true });
  });
});
