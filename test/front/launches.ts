import assert from 'node:assert/strict';
import { chmodSync, cpSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { OptionSpec } from '../../src/cli/command.js';
import { spellings } from '../../src/cli/option-text.js';
import { exec, PROJECT } from '../support/cli.js';
import { ENVIRONMENT, OWN_CACHE } from './support.js';

/** An option that the front parses. */
export interface FrontOption {
  readonly name: string;
  readonly spellings: readonly string[];
  readonly kind: string;
}

/** Returns the rows of a table of the front. */
export function frontOptions(file: string): readonly FrontOption[] {
  return [
    ...readFileSync(`${PROJECT}/src/native/front/${file}`, 'utf8').matchAll(
      /^OPTION\("([^"]+)", "([^"]+) ", (FLAG|VALUE|LIST), /gm,
    ),
  ].map(([, name = '', texts = '', kind = '']) => ({ name, spellings: texts.split(' '), kind }));
}

/** Compares the front's table with that of the script. */
export function assertOptions(
  rows: readonly FrontOption[],
  options: Readonly<Record<string, OptionSpec>>,
): void {
  for (const row of rows) {
    const spec = options[row.name];
    assert.ok(spec !== undefined, row.name);
    assert.deepEqual(
      { ...row, spellings: [...row.spellings].sort() },
      { name: row.name, spellings: [...spellings(row.name, spec)].sort(), kind: kindOf(spec) },
    );
  }
}

function kindOf({ type, array }: OptionSpec): string {
  if (type === 'boolean') return 'FLAG';
  return array ? 'LIST' : 'VALUE';
}

/** How the launcher is started. */
export interface Launch {
  readonly words: readonly string[];
  readonly environment: readonly string[];
}

/** Quotes a word for a shell. */
export function quoted(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}

/** A copy of the program whose launcher prints its arguments and environment, each ended by a NUL. */
export function copyOfProgram(directory: string): string {
  const copy = `${directory}/dist`;
  cpSync(path.join(PROJECT, 'dist'), copy, { recursive: true });
  const native = `${copy}/native/linux-${process.arch}`;
  const launcher = `${native}/invoke_ns`;
  // A shell would change the environment.
  writeFileSync(`${directory}/launcher.c`, PRINTER);
  const built = exec('cc', ['-O1', '-o', launcher, `${directory}/launcher.c`]);
  assert.equal(built.status, 0, built.stderr);
  chmodSync(launcher, 0o755);
  return `${native}/jailbuild`;
}

const PRINTER = `
#include <stdio.h>
extern char **environ;
static void print(char **words, const char *end)
{
  for (; *words; words++) { fputs(*words, stdout); putchar(0); }
  fputs(end, stdout);
}
int main(int argc, char **argv) { print(argv + 1, "\\1"); print(environ, ""); return argc == 0; }
`;

/**
 * Runs lines of a command by the front, where Node cannot be started; undefined for those that it leaves to Node.
 *
 * @param first shell command before them
 */
export function frontLaunches(
  directory: string,
  front: string,
  command: string,
  lines: readonly (readonly string[])[],
  first = ':',
): readonly (Launch | undefined)[] {
  const script = `${directory}/lines`;
  const call = `PATH=${directory}/none "$FRONT" ${command}`;
  writeFileSync(
    script,
    [
      first,
      `exec 2> ${directory}/errors`,
      ...lines.map(
        (words) => `printf '\\2'; ${call} ${words.map(quoted).join(' ')}; printf '\\3%d' $?`,
      ),
    ].join('\n'),
  );
  // Temporary directories may lie where the cache is mounted.
  const { stdout, stderr, status } = exec(
    'unshare',
    ['--mount', 'sh', '-c', `${OWN_CACHE} . ${script}`],
    {
      env: { ...ENVIRONMENT, PATH: ENVIRONMENT.PATH, FRONT: front },
      cwd: directory,
    },
  );
  assert.equal(status, 0, stderr);
  const results = stdout.split('\x02').slice(1);
  assert.equal(results.length, lines.length);
  return results.map((text): Launch | undefined => {
    const [output = '', end] = text.split('\x03');
    if (end !== '0') return undefined;
    const [words = [], environment = []] = output
      .split('\x01')
      .map((list) => list.split('\0').slice(0, -1));
    const at = words.indexOf('--die-with');
    return { words: at === 1 ? words.with(2, 'PARENT') : words, environment };
  });
}
