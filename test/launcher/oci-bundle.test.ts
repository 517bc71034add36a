import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { before, describe, test } from 'node:test';
import { Ajv } from 'ajv';
import { exec, jailbuild, PROJECT } from '../support/cli.js';
import { buildJail, runInJail } from '../support/jail.js';
import { needsRoot } from '../support/need.js';
import { tempDir } from '../support/temp-dir.js';
import { officialSchema } from './runtime-spec.js';
import { compileFixture } from './support.js';

const SCHEMA = path.join(PROJECT, 'fixtures/oci-runtime/config.schema.json');

/** With every option that a run accepts. */
const MANY: readonly string[] = [
  ...['--read-only', '--tmpfs', '/tmp:size=1m', '--network', 'none', '--user', '1000:50'],
  ...['--cap-add', 'net_raw', '--cap-drop', 'kill', '--umask', '027', '--ulimit', 'nofile=60:70'],
  ...['--hostname', 'inside', '--workdir', '/tmp', '-e', 'A=b c'],
];

describe('an OCI runtime bundle', needsRoot('gcc', 'unshare'), () => {
  const directory = tempDir();
  const jail = path.join(directory, 'jail');
  const bundle = path.join(directory, 'bundle');
  const validate = new Ajv({ allErrors: true, strict: false }).compile(
    JSON.parse(readFileSync(SCHEMA, 'utf8')),
  );

  const official = officialSchema('config-schema.json');

  before(() => {
    buildJail(jail, ['bash', 'cat', 'id', 'ls', 'readlink']);
    for (const name of ['data', 'tmp', 'proc', 'dev'])
      mkdirSync(path.join(jail, name), { recursive: true });
    compileFixture('probe', path.join(jail, 'probe'));
    writeFileSync(path.join(directory, 'text'), 'of the host\n');
    writeFileSync(path.join(jail, 'new'), '');
  });

  /** Writes a bundle, and returns its config.json. */
  function write(options: readonly string[], command: readonly string[]) {
    const args = ['run', jail, '--oci-bundle', bundle, ...options, '--', ...command];
    const { stdout, stderr, status } = jailbuild(args);
    assert.equal(stderr, '');
    assert.equal(stdout, '');
    assert.equal(status, 0);
    return JSON.parse(readFileSync(path.join(bundle, 'config.json'), 'utf8'));
  }

  test('has a config.json that conforms to the specification', () => {
    const runs: readonly (readonly string[])[] = [
      [],
      MANY,
      ['--memory', '64m', '--pids-limit', '20', '--cpus', '1.5', '--boottime', '7'],
      ['--userns', 'root', '--ipc', 'host', '--cgroupns', 'host', '--tty'],
      ['--uidmap', '0:100000:10', '--uidmap', '10:200000:5', '--seccomp', 'off'],
      ['--no-dev', '--proc', 'none', '--allow-new-privileges', '--ulimit', 'core=0:-1'],
      ['--bind', '/usr:/usr:ro', '--dev-bind', '/dev', '--proc', 'full', '--cap-drop', 'ALL'],
    ];
    for (const options of runs) {
      const config = write(options, ['ls', '/']);
      assert.ok(validate(config), JSON.stringify(validate.errors, undefined, 1));
      assert.ok(official(config), JSON.stringify(official.errors, undefined, 1));
    }
    // The schema detects a mistake.
    const config = write([], ['ls']);
    for (const wrong of [
      { ...config, process: { ...config.process, cwd: 'tmp' } },
      { ...config, root: { path: jail, readOnly: true } },
      { ...config, linux: { ...config.linux, namespaces: [{ type: 'net' }] } },
    ])
      assert.equal(validate(wrong), false);
  });

  test('has the lists of the launcher', () => {
    const source = readFileSync(path.join(PROJECT, 'src/native/launcher/proc.c'), 'utf8');
    const list = (name: string): string[] => {
      const text = new RegExp(`${name}\\[\\] = \\{([^}]*)\\}`).exec(source)?.[1] ?? '';
      return [...text.matchAll(/"([^"]+)"/g)].map(([, word]) => `/proc/${word}`).sort();
    };
    const { linux } = write([], ['ls']);
    assert.ok(linux.maskedPaths.length > 5);
    assert.deepEqual([...linux.maskedPaths].sort(), list('hidden'));
    assert.deepEqual([...linux.readonlyPaths].sort(), list('read_only'));
    const names = linux.seccomp.syscalls[0].names;
    const { stdout } = exec(path.join(PROJECT, 'dist/invoke_ns'), ['--list-denied']);
    assert.deepEqual(names, stdout.trim().split('\n'));
  });

  test('is refused if it cannot express an option, and nothing is written', () => {
    const other = path.join(directory, 'other');
    for (const options of [
      ['--seccomp', path.join(directory, 'text')],
      ['--user', 'nobody-such'],
    ]) {
      const { stderr, status } = jailbuild(['run', jail, '--oci-bundle', other, ...options]);
      assert.match(stderr, /^jailbuild: --(seccomp|user) .*: /);
      assert.notEqual(status, 0);
      assert.equal(existsSync(other), false);
    }
  });

  /**
   * Runs the bundle where the runtimes find only version 2 of control groups, whatever the machine
   * has: they refuse a mixture.
   */
  function underRuntime(runtime: string): string {
    const name = `jbt-${process.pid}`;
    const state = path.join(directory, runtime);
    // The groups would need controllers and the device filter privileges that not every machine
    // grants.
    const options = runtime === 'crun' ? '--cgroup-manager=disabled' : '';
    const run = `${runtime} --root ${state} ${options} run --bundle ${bundle} ${name}`;
    const script = `mount -t cgroup2 none /sys/fs/cgroup && exec ${run}`;
    const { stdout, stderr, status } = exec('unshare', ['-m', 'sh', '-c', script]);
    assert.equal(status, 0, `${stdout}${stderr}`);
    return stdout;
  }

  const state = [
    'id -u; id -g; id -G; umask; pwd; ulimit -n; ulimit -Hn; echo $HOSTNAME $A $HOME',
    'while read -r l; do [[ $l = @(Cap*|NoNewPrivs*|Seccomp:*) ]] && echo $l; done < /proc/self/status',
    'cat /data; ls -A /proc/acpi; ls /; : 2> /dev/null > /new || echo read-only',
  ].join('; ');
  const ways = 'mount fsopen keyring unshare clone clone3 module release-agent'.split(' ');

  for (const runtime of ['crun', 'runc']) {
    describe(`under ${runtime}`, needsRoot(runtime), () => {
      test('the jail is the same as under the launcher', () => {
        const data = ['--bind', `${path.join(directory, 'text')}:/data/text:ro`];
        writeFileSync(path.join(jail, 'data/text'), '');
        const script = ['bash', '-O', 'extglob', '-c', state.replace('/data', '/data/text')];
        for (const options of [data, [...data, ...MANY]]) {
          write(options, script);
          const { stdout } = runInJail(jail, script, options);
          assert.match(stdout, /NoNewPrivs: 1\n/);
          assert.match(stdout, /^of the host$/m);
          assert.equal(underRuntime(runtime), stdout);
        }
      });

      test('no escape succeeds', () => {
        const probes = ways.map((way) => `/probe ${way} /tmp/m`).join('; ');
        write([], ['bash', '-c', probes]);
        const said = underRuntime(runtime).trim().split('\n');
        assert.equal(said.length, ways.length);
        for (const line of said) assert.match(line, /^held: /);
      });
    });
  }
});
