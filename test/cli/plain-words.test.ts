import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AnyCommand } from '../../src/cli/command.js';
import { COMMANDS } from '../../src/cli/commands/index.js';
import { spellings } from '../../src/cli/option-text.js';
import { parseWords } from '../../src/cli/parse-words.js';
import { parsePlainWords } from '../../src/cli/plain-words.js';
import type { Parsed } from '../../src/cli/usage.js';
import { Random } from '../campaign/random.js';

const LINES = 10_000;
/** Minimum number of accepted lines; with fewer, little is compared. */
const PLAIN = 2000;

const WORDS = [
  ...[
    '/srv/jail',
    'ls',
    'env',
    '.',
    '..',
    '5',
    '0x10',
    '1e3',
    '-5',
    '007',
    'true',
    'false',
    'null',
  ],
  ...[
    'a b',
    'a=b',
    '=',
    'a.b',
    'é',
    '\udc80',
    '',
    "'a'",
    '"a"',
    "a'b",
    '[a]',
    '{}',
    '$0',
    '_',
    '__proto__',
  ],
  ...[
    'constructor',
    '-',
    '---',
    '--',
    '-x',
    '--unknown',
    '--no-quiet',
    '--quiet=true',
    'jailbuild',
    'help',
  ],
];

/** Returns a command line that is valid about half of the time. */
function someWords(command: AnyCommand, random: Random): string[] {
  const options = Object.entries(command.options);
  const some = <T>(list: readonly T[]): T => random.of(list);
  return Array.from({ length: random.below(7) }).flatMap((): string[] => {
    if (random.below(2) === 0 || options.length === 0)
      return [random.below(3) === 0 ? some(WORDS) : `w${random.below(9)}`];
    const [name, spec] = some(options);
    const spelling = some(spellings(name, spec));
    switch (random.below(6)) {
      case 0:
        return [`${spelling}=${some(WORDS)}`];
      case 1:
        return [spelling, some(WORDS)];
      case 2:
        return [`${spelling}${some(WORDS)}`];
      default:
        return spec.type === 'boolean' ? [spelling] : [spelling, `v${random.below(9)}`];
    }
  });
}

/** Removes unused members, and sorts the others. */
function comparable(parsed: Parsed): unknown {
  return Object.entries(parsed)
    .filter(([key, value]) => key !== '$0' && value !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1));
}

test('plain words are parsed as yargs parses them', async () => {
  const random = new Random(14);
  let plain = 0;
  for (let line = 0; line < LINES; line++) {
    const command = random.of(COMMANDS);
    const words = someWords(command, random);
    const own = parsePlainWords(command, words);
    if (own === undefined) continue;
    plain++;
    const theirs = await parseWords(command, words).catch((error: unknown) => error);
    assert.ok(!(theirs instanceof Error), `${command.name} ${JSON.stringify(words)}: ${theirs}`);
    assert.deepEqual(
      comparable(own),
      comparable(theirs as Parsed),
      `${command.name} ${JSON.stringify(words)}`,
    );
  }
  assert.ok(plain > PLAIN, `${plain} of ${LINES} are plain`);
});

test('the usual command lines are plain', () => {
  const usual: readonly (readonly [name: string, ...words: string[]])[] = [
    ['build', '/srv/jail', 'env', 'bash', '--no-sync', '-q'],
    ['build', '/srv/jail', 'bash', '--run', '--', 'bash', '-c', 'ls'],
    ['build', '/srv/jail', 'ls', '--include', '/etc/hosts', '-i', '/a:/b', '--user=www:33'],
    ['update', '/srv/jail', '--json'],
    ['check', '/srv/jail'],
    ['remove', '/srv/jail'],
  ];
  for (const [name, ...words] of usual) {
    const command = COMMANDS.find((found) => found.name === name);
    assert.ok(
      command !== undefined && parsePlainWords(command, words) !== undefined,
      words.join(' '),
    );
  }
});
