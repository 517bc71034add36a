import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import { after, describe, test } from 'node:test';
import type { OptionSpec } from '../../src/cli/command.js';
import { execCommand } from '../../src/cli/commands/exec.js';
import { spellings } from '../../src/cli/option-text.js';
import { parseWords } from '../../src/cli/parse-words.js';
import { parsePlainWords } from '../../src/cli/plain-words.js';
import { checkArguments } from '../../src/cli/usage.js';
import { type ExecOptions, execArguments } from '../../src/launcher/exec.js';
import { environmentOf } from '../../src/launcher/options.js';
import {
  jailsNamed,
  LAUNCHER_OPTIONS,
  type RunningJail,
  runningJails,
} from '../../src/launcher/running.js';
import { parseVariable } from '../../src/launcher/values.js';
import { Random } from '../campaign/random.js';
import { AS_NOBODY, NOBODY } from '../launcher/support.js';
import { exec, PROJECT } from '../support/cli.js';
import { buildJail } from '../support/jail.js';
import { needsRoot } from '../support/need.js';
import { until } from '../support/process.js';
import { tempDir } from '../support/temp-dir.js';
import {
  assertOptions,
  copyOfProgram,
  frontLaunches,
  frontOptions,
  type Launch,
} from './launches.js';
import { ENVIRONMENT, FRONT, NEEDS_FRONT } from './support.js';

const OPTIONS: Readonly<Record<string, OptionSpec>> = execCommand.options;
const ROWS = frontOptions('exec_options.h');

test('the options of the front are those of exec', () => {
  assert.ok(ROWS.length > 3);
  assertOptions(ROWS, OPTIONS);
});

test('the options of a running launcher are classified as by the script', () => {
  const rows = [
    ...readFileSync(`${PROJECT}/src/native/front/exec_rights.h`, 'utf8').matchAll(
      /^(KEPT_VALUE|KEPT_FLAG|FLAG)\("([^"]+)"\)$/gm,
    ),
  ];
  const { withValue, flags, withoutValue } = LAUNCHER_OPTIONS;
  const words = (...kinds: string[]) =>
    rows.flatMap(([, kind = '', word = '']) => (kinds.includes(kind) ? [word] : [])).sort();
  assert.ok(rows.length > 20);
  assert.deepEqual(words('KEPT_VALUE'), [...withValue].sort());
  assert.deepEqual(words('KEPT_FLAG'), [...flags].sort());
  assert.deepEqual(words('KEPT_FLAG', 'FLAG'), [...withoutValue].sort());
});

/** Options of the jails in which commands run. */
const JAILS: readonly (readonly string[])[] = [
  [],
  ['--user', '7', '--network', 'none', '--read-only', '--no-init'],
  [
    ...['--cap-add', 'net_raw', '--cap-drop', 'chown', '--allow-new-privileges', '--umask', '027'],
    ...['--ulimit', 'nofile=50:60', '--env', 'A=--user', '--argv0=--user'],
  ],
  ['--seccomp', 'off', '--seccomp', 'default', '--monotonic', '5', '--pids-limit', '30'],
];

const VALUES: Readonly<Record<string, readonly string[]>> = {
  env: ['A=b', 'A=', 'PATH=/bin', 'HOME=/root', 'HOME', 'TERM=x', 'TERM', 'NO_SUCH', '=x', '5=x'],
  workdir: ['/', '/usr', 'usr', '/a b', '/none'],
  user: ['1000', '1000:50', 'root', 'root:0', '0', ':5'],
};

describe('commands in running jails', { ...NEEDS_FRONT, ...needsRoot('cc', 'setpriv') }, () => {
  const directory = tempDir();
  const children: ChildProcess[] = [];

  /** Builds a jail and returns its root. */
  function built(name: string, programs: readonly string[]): string {
    const where = `${directory}/${name}`;
    buildJail(where, programs);
    return where;
  }

  /** Starts a jail, and returns its launcher once commands can run in it. */
  async function start(
    where: string,
    options: readonly string[],
    wrapper: readonly string[] = [],
    uid = 0,
  ): Promise<RunningJail> {
    const [file = '', ...words] = [...wrapper, FRONT, 'run', where, ...options, '--'];
    const known = jailsNamed(where, runningJails(uid)).map(({ pid }) => pid);
    const child = spawn(file, [...words, '/usr/bin/sleep', '600'], {
      env: ENVIRONMENT,
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    children.push(child);
    let found: RunningJail | undefined;
    const isUp = (): boolean => {
      found = jailsNamed(where, runningJails(uid)).find(({ pid }) => !known.includes(pid));
      return found !== undefined && commandOf(found).endsWith('sleep\n');
    };
    await until(isUp, 'the jail runs');
    return found as unknown as RunningJail;
  }

  function commandOf({ init }: RunningJail): string {
    const { stdout } = exec('ps', ['-o', 'comm=', '-p', String(init), '--ppid', String(init)]);
    return stdout;
  }

  /** Runs the front where Node cannot be started. */
  const front = (words: readonly string[], wrapper: readonly string[] = [], input = '') => {
    const call = ['env', `PATH=${directory}/none`, FRONT, 'exec', ...words];
    const [file = '', ...rest] = [...wrapper, ...call];
    return exec(file, rest, { env: ENVIRONMENT, input });
  };

  after(() => {
    for (const child of children) child.kill('SIGKILL');
  });

  test('do not start Node', async () => {
    const jail = await start(built('one', ['sh', 'cat', 'env', 'sleep']), []);
    for (const name of [jail.root, String(jail.pid), String(jail.init), `00${jail.pid}`]) {
      const { status, stdout, stderr } = front([name, '--', 'sh', '-c', 'cat; exit 7'], [], 'word');
      assert.deepEqual([status, stdout, stderr], [7, 'word', ''], name);
    }
    assert.equal(front([jail.root, '--', 'sh', '-c', 'kill -TERM $$']).status, 128 + 15);
    assert.equal(front([jail.root, '--', 'no-such']).status, 127);
    assert.equal(front([jail.root], [], 'echo from $0\n').stdout, 'from sh\n');
    const { stdout } = front([
      jail.root,
      '-e',
      'A=b',
      '-w',
      '/usr',
      '-u',
      '5:6',
      '--',
      'sh',
      '-c',
      'echo $A $PWD; cat /proc/self/status',
    ]);
    assert.match(stdout, /^b \/usr\n/);
    assert.match(stdout, /^Uid:(\t5){4}\nGid:(\t6){4}$/m);
  });

  test('do not start Node for a user with a jail of their own', async () => {
    const where = built('own', ['sleep', 'sh']);
    for (const name of ['proc', 'dev', 'tmp', '.jailbuild'])
      mkdirSync(`${where}/${name}`, { recursive: true });
    exec('chmod', ['755', directory]);
    await start(where, [], AS_NOBODY, NOBODY);
    const { status, stdout } = front(
      [where, '--', 'sh', '-c', 'read -r map < /proc/self/uid_map; echo $map'],
      AS_NOBODY,
    );
    assert.deepEqual([status, stdout], [0, `0 ${NOBODY} 1\n`]);
    assert.match(front([where, '--', 'sh']).stderr, /node is not on PATH/);
  });

  test('are left to Node if the name is not that of one jail of this user', async () => {
    const where = built('two', ['sleep', 'true']);
    assert.match(front([where, '--', 'true']).stderr, /node is not on PATH/);
    const { pid, init } = await start(where, []);
    assert.equal(front([where, '--', 'true']).status, 0);
    for (const [words, wrapper] of [
      [[`${where}/`, '--', 'true']],
      [[`${where}/../two`, '--', 'true']],
      [[where, '-v', '--', 'true']],
      [[where, '--unknown', '--', 'true']],
      [['1', '--', 'true']],
      [[String(process.pid), '--', 'true']],
      [[where, '--', 'true'], AS_NOBODY],
      [[String(pid), '--', 'true'], AS_NOBODY],
    ] as const) {
      const { status, stderr } = front(words, wrapper);
      assert.match(stderr, /node is not on PATH|Permission denied/, words.join(' '));
      assert.notEqual(status, 0);
    }
    await start(where, []);
    assert.match(front([where, '--', 'true']).stderr, /node is not on PATH/);
    assert.equal(front([String(init), '--', 'true']).status, 0);
  });

  test('are those of the script', async () => {
    const program = copyOfProgram(directory);
    const jails: RunningJail[] = [];
    for (const [index, options] of JAILS.entries())
      jails.push(await start(built(`jail${index}`, ['sleep']), options));
    const random = new Random(5);
    const lines = Array.from({ length: 1000 }, () => someWords(jails, random));
    const launches = frontLaunches(directory, program, 'exec', lines);
    let taken = 0;
    for (const [index, words] of lines.entries()) {
      if (launches[index] === undefined) continue;
      taken++;
      assert.deepEqual(launches[index], await scriptLaunch(words), JSON.stringify(words));
    }
    assert.ok(taken > 300, `${taken} of ${lines.length} are taken`);
  });
});

function someWords(jails: readonly RunningJail[], random: Random): string[] {
  const options = Array.from({ length: random.below(5) }).map((): string[] => {
    const { name } = random.of(ROWS);
    const spec = OPTIONS[name] as OptionSpec;
    const spelling = random.of(spellings(name, spec));
    if (random.below(60) === 0) return [random.of(['--unknown', '--no-tty', 'word', '-', '-tv'])];
    if (spec.type === 'boolean') return random.below(20) === 0 ? [`${spelling}=true`] : [spelling];
    const values = random.below(40) === 0 ? ['', '-x', '--', '$0', "'a'", 'true'] : VALUES[name];
    const value = random.of(values ?? []);
    return random.below(4) === 0 ? [`${spelling}=${value}`] : [spelling, value];
  });
  const { root, pid, init } = random.of(jails);
  const place = random.of([root, String(pid), String(init), `${root}/`]);
  options.splice(random.below(options.length + 1), 0, [place]);
  const command = random.of([[], ['--'], ['--', 'sh'], ['--', 'ls', '-l', '--', 'a b', '']]);
  return [...options.flat(), ...command];
}

/** Returns how the script starts the launcher; undefined if it refuses the line. */
async function scriptLaunch(words: readonly string[]): Promise<Launch | undefined> {
  try {
    const parsed = parsePlainWords(execCommand, words) ?? (await parseWords(execCommand, words));
    checkArguments(execCommand, parsed, words);
    const args = parsed as unknown as Parameters<typeof execCommand.run>[0];
    const [jail, ...more] = jailsNamed(args.jail, runningJails(0));
    if (jail === undefined || more.length > 0) return undefined;
    const options: ExecOptions = {
      env: Object.fromEntries((args.env ?? []).flatMap((text) => parseVariable('--env', text))),
      ...(args.user === undefined ? {} : { user: args.user }),
      ...(args.workdir === undefined ? {} : { cwd: args.workdir }),
      tty: args.tty ?? false,
    };
    return {
      words: ['--die-with-parent', ...execArguments(jail, args['--'] ?? [], options)],
      environment: Object.entries(environmentOf(options, process.env.TERM)).map((pair) =>
        pair.join('='),
      ),
    };
  } catch (error) {
    return error instanceof Error && 'code' in error ? undefined : Promise.reject(error);
  }
}
