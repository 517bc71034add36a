import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { locateLauncher } from '../../src/launcher/locate.js';
import { exec, JAILBUILD } from '../support/cli.js';
import { buildJail } from '../support/jail.js';
import { needsRoot } from '../support/need.js';
import { tempDir } from '../support/temp-dir.js';
import { FILTERS, PROPERTIES, type Property } from './bubblewrap-properties.js';
import { compileFixture, NOBODY } from './support.js';

const THEIRS = `
  box() { $AS bwrap --bind "$ROOT" / --tmpfs /tmp --proc /proc --dev /dev "$@"; }
  all() { bwrap --bind / / "$@"; }
  help() { bwrap --help; }
  enter() { box --userns 7 -- "\${@:2}" 7< /proc/$1/ns/user; }
  enter_all() { box --userns 7 --pidns 8 -- "\${@:2}" 7< /proc/$1/ns/user 8< /proc/$1/ns/pid; }
  sized() { box --size "$1" --tmpfs /tmp/a -- true; }
  filter() { if [ -r "$1" ]; then box --seccomp 9 -- true 9< "$1"; else box --seccomp 0a -- true; fi; }
  odd() { box --overlay-src "$D/"'lower ":,\\' --overlay "$D/"'upper ":,\\' "$D/"'work ":,\\' /tmp/x -- "$@"; }
  S=' ' ALL= UNUSED='--size 1048576 --size 1048576 --tmpfs /tmp/a' UNSET='--unsetenv FOO' CLEAR=--clearenv OURS=
  INNER='/box --unshare-all --bind / / --proc /proc --'; BOX=$(command -v bwrap)`;
const OURS = `
  box() { $AS "$NODE" "$CLI" run "$ROOT" --tmpfs /tmp "$@"; }
  all() { "$NODE" "$CLI" run / "$@"; }
  help() { "$NODE" "$CLI" run --help; }
  enter() { box --userns /proc/$1/ns/user -- "\${@:2}"; }
  enter_all() { "$NODE" "$CLI" exec $1 -- "\${@:2}"; }
  sized() { box --tmpfs "/tmp/a:size=$1" -- true; }
  filter() { box --seccomp "$1" -- true; }
  odd() { box --mount 'type=overlay,"src='"$D"'/lower "":,\\","upperdir='"$D"'/upper "":,\\","workdir='"$D"'/work "":,\\",dst=/tmp/x' -- "$@"; }
  S=: ALL='--cap-add ALL' UNUSED='--tmpfs /tmp/a:mode=700,mode=700' UNSET='--env BAR' CLEAR= OURS=1
  INNER='/box --userns -pm -c / --'`;

describe(
  "bubblewrap's properties",
  needsRoot('bwrap', 'gcc', 'setpriv', 'python3', 'busybox', 'fuse-overlayfs'),
  () => {
    const directory = tempDir();
    const [jail, filterFiles] = [path.join(directory, 'jail'), path.join(directory, 'filters')];
    const count = { hold: 0, compared: 0 };
    let version: readonly number[] = [];

    before(() => {
      buildJail(jail, [
        'bash',
        'sh',
        'cat',
        'env',
        'ls',
        'stat',
        'readlink',
        'sleep',
        'sort',
        'true',
      ]);
      for (const name of ['proc', 'dev', 'tmp'])
        mkdirSync(path.join(jail, name), { recursive: true });
      copyFileSync('/usr/bin/busybox', path.join(jail, 'busybox'));
      compileFixture('calls', path.join(jail, 'calls'));
      exec('chmod', ['755', directory, jail]);
      mkdirSync(filterFiles);
      for (const [name, lines] of Object.entries(FILTERS)) {
        const compiler = path.join(path.dirname(JAILBUILD), 'native/linux-x64/seccomp_compile');
        const script = '"$0" > "$1"';
        const { status, stderr } = exec(
          'sh',
          ['-c', script, compiler, path.join(filterFiles, name)],
          {
            input: `${lines.join('\n')}\n`,
          },
        );
        assert.equal(status, 0, stderr);
      }
      version = (/[\d.]+/.exec(exec('bwrap', ['--version']).stdout)?.[0] ?? '')
        .split('.')
        .map(Number);
    });

    const isInstalled = (since: string): boolean => {
      const [major = 0, minor = 0] = since.split('.').map(Number);
      return (version[0] ?? 0) > major || (version[0] === major && (version[1] ?? 0) >= minor);
    };
    let runs = 0;
    const outcome = (words: string, options: string, property: Property): string => {
      const own = path.join(directory, `run-${runs++}`);
      mkdirSync(own);
      const {
        setUp = '',
        inside = 'true',
        with: redirections = '',
        tearDown = '',
        byUser,
      } = property;
      const usual = `box $T -- bash -c "$IN" ${redirections}; echo status $? >&\${OUT:-1}; ${tearDown}`;
      const script = `${words}
      USER="setpriv --reuid=${NOBODY} --regid=${NOBODY} --clear-groups --"; user() { AS=$USER "$@"; }
      AS=; export -f box; export AS ROOT D S NODE CLI
      ${byUser ? 'AS=$USER' : ''}
      ${setUp}
      T="${options.replaceAll('"', '\\"')}"; IN="${inside.replaceAll(/["\\$`]/g, '\\$&').replaceAll('\\$INNER', '$INNER')}"
      ${property.script ?? usual}`;
      const { stdout } = exec('unshare', ['-m', '--propagation', 'private', 'bash', '-c', script], {
        cwd: '/',
        env: {
          ...process.env,
          ...{
            D: own,
            F: filterFiles,
            ROOT: jail,
            NODE: process.execPath,
            CLI: JAILBUILD,
            OWN: locateLauncher(),
          },
        },
      });
      return stdout;
    };

    for (const property of PROPERTIES) {
      const { name, theirs, ours, prints, since = '0.8', differs } = property;
      test(name, () => {
        assert.equal(outcome(OURS, ours, property), prints, 'run');
        if (theirs !== undefined && isInstalled(since)) {
          assert.equal(outcome(THEIRS, theirs, property), prints, 'bwrap');
          count.compared++;
        }
        if (differs === undefined) count.hold++;
      });
    }

    after(() => {
      const differing = PROPERTIES.filter(({ differs }) => differs !== undefined);
      console.log(
        `${count.hold} of ${PROPERTIES.length} properties hold, ${count.compared} beside bwrap ${version.join('.')}`,
      );
      for (const { name, differs } of differing) console.log(`  ${name}: ${differs}`);
    });
  },
);
