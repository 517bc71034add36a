import assert from 'node:assert/strict';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import type { OptionSpec } from '../../src/cli/command.js';
import { runCommand } from '../../src/cli/commands/run.js';
import { spellings } from '../../src/cli/option-text.js';
import { runnable } from '../../src/cli/options/launch.js';
import { type RunArguments, runOptions } from '../../src/cli/options/run.js';
import { parseWords } from '../../src/cli/parse-words.js';
import { parsePlainWords } from '../../src/cli/plain-words.js';
import { checkArguments } from '../../src/cli/usage.js';
import { environmentOf, launcherArguments } from '../../src/launcher/options.js';
import { withExtras } from '../../src/launcher/run.js';
import { canUncover } from '../../src/launcher/uncovering.js';
import { Random } from '../campaign/random.js';
import { jailbuild } from '../support/cli.js';
import { needsRoot } from '../support/need.js';
import { tempDir } from '../support/temp-dir.js';
import {
  assertOptions,
  copyOfProgram,
  frontLaunches,
  frontOptions,
  type Launch,
  quoted,
} from './launches.js';
import { NEEDS_FRONT } from './support.js';

const LINES = 3000;
/** Minimum number of lines that the front takes; with fewer, little is compared. */
const TAKEN = 1000;

const directory = tempDir();
const OPTIONS: Readonly<Record<string, OptionSpec>> = runOptions;
const ROWS = frontOptions('run_options.h');

test('the options of the front are those of run', () => {
  assert.ok(ROWS.length > 30);
  assertOptions(ROWS, OPTIONS);
});

/** Values of options, most of which are valid. */
const VALUES: Readonly<Record<string, readonly string[]>> = {
  mount: [
    ...[
      '/etc/hosts',
      '/etc/hosts:/a',
      '/etc:/b/c:ro',
      '/etc:/tmp:rw',
      '/etc:/tmp/',
      '/usr//lib:/x',
    ],
    ...[
      '/etc:ro',
      '/etc:/e:rw',
      '/:/host',
      '/:/host:ro',
      `${directory}:/up`,
      `${directory}:/up:ro`,
    ],
    ...[`${directory}/jail:/j`, `${directory}/link:/j`, '/none:/n', '/none', 'relative:/r', '.'],
    ...['/a\\:b:/c', '/etc:b', '/etc:', '/etc::ro', '/etc:/', '/etc://', '/etc:/b:x', '/etc:/a:/b'],
    ...['/etc:/deep//er/', '/dev/null:/null', '/é:/é'],
  ],
  tmpfs: [
    '/run',
    '/run:size=1m',
    '/tmp',
    '/tmp/x',
    '/tmp//:mode=700',
    '/',
    '//',
    'run',
    '/a:',
    '/a\\:b',
    '/x/y/z:size=1m:b',
  ],
  dir: ['/d', '/d:700', '/d/e/f:0755', '/tmp', '/', 'd', '/d:8', '/d:', '/d:7:7', '/d\\:e'],
  symlink: ['a:/l', '/usr/lib:/lib64', 'a:b', 'a', ':/x', 'a:/b:c', '/tmp:/tmp', 'a\\:b:/c'],
  env: [
    ...[
      'A=b',
      'A=',
      'A=b=c',
      'PATH=/bin',
      'HOME=/root',
      'TERM=x',
      'TERM',
      'PATH',
      'NO_SUCH',
      'LANG=C',
    ],
    ...[
      '=x',
      '5=x',
      '9=y',
      'a.b=c',
      'RECORDED=new',
      '__proto__=x',
      'NODE_OPTIONS',
      'A= b c',
      "A='q'",
      'A=é',
      'A="',
    ],
  ],
  workdir: ['/', '/usr', 'usr', '/a b'],
  argv0: ['sh', '-sh', 'a b'],
  hostname: ['name', 'a.b-c', 'a b', 'a/b', 'é', '5', 'a\tb'],
  network: ['none', 'host', 'ns:/proc/self/ns/net', 'other', 'outgoing', 'slirp4netns', 'pasta'],
  ipc: ['private', 'host', 'other'],
  cgroupns: ['private', 'host', 'other'],
  proc: ['masked', 'full', 'none', 'other'],
  user: ['1000', '1000:50', 'root', 'root:0', '0'],
  'cap-drop': [
    'ALL',
    'all',
    'CHOWN',
    'cap_chown',
    'CAP_KILL',
    'net_raw',
    'chown,kill',
    'own',
    'none',
    'setuid',
    'sys_chroot',
  ],
  overlay: ['tmpfs', 'tmpfs', '/none', '/srv/../none', 'none', '/', '/none/'],
  umask: ['077', '22', '0022', '7777', '8', '00022'],
  memory: [
    '512m',
    '1g',
    '64MB',
    '1024',
    '100kb',
    '1b',
    '1bb',
    '0',
    '1.5g',
    '0064m',
    '9999999t',
    '1mm',
    'm',
    '20m ',
  ],
  'pids-limit': ['100', '1', '0', '007', '1e3', '9007199254740993'],
  cpus: [
    '1',
    '1.5',
    '0.01',
    '0.009',
    '.5',
    '2.',
    '100000',
    '100001',
    '0.1234567',
    '1.15',
    '2.675',
    '0.29',
  ],
};

function someValue(name: string, random: Random): string {
  if (random.below(40) === 0) return random.of(['', '-x', '--', '$0', "'a'", 'true', '0x10']);
  const [, kind = name] = /(bind)(-try)?$|^volume$/.test(name) ? [0, 'mount'] : [];
  return random.of(VALUES[kind] ?? ['1', 'a', '/a', 'a=b']);
}

/** Returns the words of a run: mostly options of the front, some others, the root somewhere. */
function someWords(root: string, random: Random): string[] {
  const others = Object.keys(OPTIONS).filter(
    // They read descriptors or run nothing.
    (name) => !/fd|args|observe|print|bundle|changes|publish|landlock|sync|file|data/.test(name),
  );
  const options = Array.from({ length: random.below(6) }).map((): string[] => {
    const isOther = random.below(25) === 0;
    const name = isOther ? random.of(others) : random.of(ROWS).name;
    const spec = OPTIONS[name] as OptionSpec;
    const spelling = random.of(spellings(name, spec));
    if (random.below(60) === 0) return [random.of(['--unknown', '--no-tty', 'word', '-', '-tv'])];
    if (spec.type === 'boolean') return random.below(20) === 0 ? [`${spelling}=true`] : [spelling];
    const value = someValue(name, random);
    return random.below(4) === 0 ? [`${spelling}=${value}`] : [spelling, value];
  });
  options.splice(random.below(3) === 0 ? random.below(options.length + 1) : 0, 0, [root]);
  const command = random.of([[], ['--'], ['--', 'sh'], ['--', 'ls', '-l', '--', 'a b', '']]);
  return [...options.flat(), ...command];
}

/** Returns how the script starts the launcher; undefined if it refuses the line or warns. */
async function scriptLaunch(words: readonly string[]): Promise<Launch | undefined> {
  try {
    const parsed = parsePlainWords(runCommand, words) ?? (await parseWords(runCommand, words));
    checkArguments(runCommand, parsed, words);
    const args = parsed as unknown as RunArguments;
    const root = path.resolve(args.root);
    const { launch, command, network } = runnable(root, args);
    if (canUncover(root, launch)) return undefined;
    const whole = network === undefined ? launch : withExtras(launch, { network });
    return {
      words: [
        '--die-with-parent',
        ...(launch.dieWithParent ? ['--die-with', 'PARENT'] : []),
        ...launcherArguments(root, whole, command, 'names'),
      ],
      environment: Object.entries(environmentOf(launch, process.env.TERM)).map((pair) =>
        pair.join('='),
      ),
    };
  } catch (error) {
    return error instanceof Error && 'code' in error ? undefined : Promise.reject(error);
  }
}

const RECORDED = `programs: [sh]
run:
  command: [sh, -c, 'exit 0']
  env: [RECORDED=old, HOME=/home]
  tmpfs: ['/srv/a', '/run:mode=700']
  workdir: /usr
  memory: 1g
  cap-drop: [kill]
`;

describe('runs that the front starts', { ...NEEDS_FRONT, ...needsRoot('unshare', 'cc') }, () => {
  const front = copyOfProgram(directory);
  // The helper of a network is only looked for.
  mkdirSync(`${directory}/none`);
  writeFileSync(`${directory}/none/slirp4netns`, '');
  process.chdir(directory);

  for (const [title, jail, text] of [
    ['plain', 'jail', 'programs: [sh]\n'],
    ['recorded defaults', 'recorded', RECORDED],
    [
      'a user and a /tmp',
      'user',
      'programs: [sh]\nincludes: [{ from: /etc/hosts, to: /tmp/hosts }]\nrun:\n  user: "7"\n',
    ],
  ] as const) {
    test(`are those of the script: ${title}`, async (t) => {
      const root = `${directory}/${jail}`;
      const file = `${directory}/${jail}.yaml`;
      writeFileSync(file, text);
      const built = jailbuild([root, '--file', file, '-q']);
      assert.equal(built.status, 0, built.stderr);
      if (jail === 'jail') symlinkSync(root, `${directory}/link`);
      const random = new Random(jail.length);
      const lines = Array.from({ length: LINES / 3 }, () => someWords(root, random));
      // Leaves the defaults behind.
      const first = `"$FRONT" run ${quoted(root)} -- true > ${directory}/first || exit 1`;
      const launches = frontLaunches(directory, front, 'run', lines, first);
      let taken = 0;
      // As for the front.
      const { PATH } = process.env;
      t.after(() => {
        process.env.PATH = PATH;
      });
      process.env.PATH = `${directory}/none`;
      for (const [index, words] of lines.entries()) {
        const launch = launches[index];
        if (launch === undefined) continue;
        taken++;
        assert.deepEqual(launch, await scriptLaunch(words), JSON.stringify(words));
      }
      assert.ok(taken > TAKEN / 3, `${taken} of ${lines.length} are taken`);
    });
  }
});
