import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { before, describe, test } from 'node:test';
import { nativeProgram } from '../../src/fs/native-program.js';
import { readSeccompProfile } from '../../src/launcher/seccomp-file.js';
import { jailbuild } from '../support/cli.js';
import { tempDir } from '../support/temp-dir.js';

const PODMAN = '/usr/share/containers/seccomp.json';
const ALLOW = 'SCMP_ACT_ALLOW';
const STATUS = 'while read -r l; do case $l in Seccomp*) echo $l;; esac; done < /proc/self/status';

/** Options for tests that compile profiles. */
function needsCompiler(): { readonly skip: string | false } {
  if (!existsSync(PODMAN)) return { skip: `needs ${PODMAN}` };
  const isThere = nativeProgram('seccomp_compile').found !== undefined;
  return { skip: isThere ? false : 'needs libseccomp-dev when it is built' };
}

describe('run --seccomp FILE.json', needsCompiler(), () => {
  const directory = tempDir();
  const jail = path.join(directory, 'jail');
  const profile = path.join(directory, 'profile.json');
  const run = (options: readonly string[], ...command: string[]) =>
    jailbuild(['run', jail, ...options, '--', ...command]);
  const withProfile = (value: unknown, ...command: string[]) => {
    writeFileSync(profile, typeof value === 'string' ? value : JSON.stringify(value));
    return run(['--seccomp', profile], ...command);
  };

  before(() => {
    const built = jailbuild(['build', jail, 'bash', 'mkdir', 'id', 'uname', 'cat']);
    assert.equal(built.status, 0, built.stderr);
  });

  test('applies the rules of the profile', () => {
    const rule = { names: ['mkdir', 'mkdirat'], action: 'SCMP_ACT_ERRNO', errnoRet: 28 };
    const value = { defaultAction: ALLOW, architectures: ['SCMP_ARCH_X86_64'], syscalls: [rule] };
    const { stderr, status } = withProfile(value, 'mkdir', '/new');
    assert.match(stderr, /No space left on device/);
    assert.equal(status, 1);
    assert.equal(withProfile(value, 'id', '-u').stdout, '0\n');
  });

  test("accepts podman's profile, stacked with the default filter", () => {
    const { stdout } = run(['--seccomp', 'default', '--seccomp', PODMAN], 'bash', '-c', STATUS);
    assert.equal(stdout, 'Seccomp: 2\nSeccomp_filters: 2\n');
    assert.match(run(['--seccomp', PODMAN], 'uname').stdout, /^Linux/);
  });

  test('a profile of a trace allows everything that was traced', () => {
    const traced = path.join(directory, 'traced.json');
    const words = ['trace', '-o', '/dev/null', '--seccomp-profile', traced, '--in', jail, '--'];
    const { status, stderr } = jailbuild([...words, 'cat', '/proc/self/status']);
    assert.equal(status, 0, stderr);
    const again = run(['--seccomp', traced], 'cat', '/proc/self/status');
    assert.equal(again.status, 0, again.stderr);
    assert.match(again.stdout, /^Seccomp:\t2$/m);
    assert.notEqual(run(['--seccomp', traced], 'mkdir', '/new').status, 0);
  });

  test('a bundle contains its rules', () => {
    const bundle = path.join(directory, 'bundle');
    assert.equal(run(['--seccomp', PODMAN, '--oci-bundle', bundle], 'id').status, 0);
    const { linux } = JSON.parse(readFileSync(`${bundle}/config.json`, 'utf8')) as {
      readonly linux: { readonly seccomp: { readonly architectures: readonly string[] } };
    };
    assert.equal(linux.seccomp.architectures[0], 'SCMP_ARCH_X86_64');
  });

  test('refuses an invalid profile, naming the mistake', () => {
    const rule = { names: ['mkdir'], action: ALLOW };
    const cases: readonly (readonly [unknown, RegExp])[] = [
      ['{', /^jailbuild: .*profile\.json: is not JSON/],
      [[], /profile\.json: /],
      [{}, /profile\.json: .*defaultAction/],
      [{ defaultAction: 'SCMP_ACT_NONE' }, /profile\.json: .*not an action/],
      [{ defaultAction: ALLOW, syscalls: [{ ...rule, names: ['a b'] }] }, /syscalls\[0\]/],
      [{ defaultAction: ALLOW, syscalls: [{ ...rule, action: 'SCMP_ACT_NOTIFY' }] }, /listener/],
      [{ defaultAction: ALLOW, architectures: ['SCMP_ARCH_PDP11'] }, /does not know the machine/],
    ];
    for (const [value, message] of cases) {
      const { stderr, status } = withProfile(value, 'id');
      assert.match(stderr, message);
      assert.equal(stderr.trimEnd().split('\n').length, 1, stderr);
      assert.equal(status, 2);
    }
    const none = run(['--seccomp', `${directory}/none.json`], 'id');
    assert.match(none.stderr, /none\.json: No such file or directory|none\.json: no such file/);
  });
});

test('applies rules by architecture, kernel and capabilities', () => {
  const directory = tempDir();
  const file = path.join(directory, 'profile.json');
  const rule = (name: string, more: object) => ({ names: [name], action: ALLOW, ...more });
  writeFileSync(
    file,
    JSON.stringify({
      defaultAction: 'SCMP_ACT_ERRNO',
      archMap: [
        { architecture: 'SCMP_ARCH_S390X', subArchitectures: ['SCMP_ARCH_S390'] },
        { architecture: 'SCMP_ARCH_X86_64', subArchitectures: ['SCMP_ARCH_X86'] },
        { architecture: 'SCMP_ARCH_AARCH64', subArchitectures: null },
      ],
      syscalls: [
        rule('always', { includes: {}, excludes: null, args: null }),
        rule('here', { includes: { arches: ['amd64', 'arm64'] } }),
        rule('elsewhere', { includes: { arches: ['s390x'] } }),
        rule('with', { includes: { caps: ['CAP_CHOWN'] } }),
        rule('without', { excludes: { caps: ['CAP_CHOWN'] } }),
        rule('lacking', { includes: { caps: ['CAP_CHOWN', 'CAP_SYS_ADMIN'] } }),
        rule('new', { includes: { minKernel: '99.0' } }),
        rule('old', { excludes: { minKernel: '4.8' } }),
        rule('recent', { includes: { minKernel: '4.8' } }),
      ],
    }),
  );
  const { syscalls = [], architectures = [] } = readSeccompProfile(file, ['chown']);
  assert.deepEqual(
    syscalls.flatMap(({ names }) => names),
    ['always', 'here', 'with', 'recent'],
  );
  assert.ok(!architectures.includes('SCMP_ARCH_S390X') && architectures.length > 0);
});
