import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { COMMANDS } from '../../src/cli/commands/index.js';
import { shownOptions, spellings } from '../../src/cli/option-text.js';
import { exec, JAILBUILD, jailbuild, PROJECT } from '../support/cli.js';
import { needs } from '../support/need.js';
import { tempDir } from '../support/temp-dir.js';

const SCRIPTS = path.join(PROJECT, 'dist/completions');
const BASH_COMPLETION = '/usr/share/bash-completion/bash_completion';
const NAMES = COMMANDS.map(({ name }) => name);

/**
 * A command line up to the cursor, words that a shell must offer there, and words that it must not.
 */
interface Case {
  readonly line: string;
  readonly offers: readonly string[];
  readonly not?: readonly string[];
}

const CASES: readonly Case[] = [
  { line: 'jailbuild ', offers: [...NAMES, 'jails/'], not: ['plain.txt', '--json'] },
  { line: 'jailbuild ru', offers: ['run'] },
  { line: 'jailbuild completion ', offers: ['bash', 'fish', 'zsh'], not: [...NAMES, 'jails/'] },
  { line: 'jailbuild jails/', offers: ['jails/one/', 'jails/two/'], not: ['jails/note'] },
  { line: 'jailbuild jails/one jb-', offers: ['jb-first', 'jb-second'], not: ['jb-data'] },
  { line: 'jailbuild jails/one jb-first jb-s', offers: ['jb-second'] },
  { line: 'jailbuild jails/one ./pl', offers: ['./plain.txt'] },
  { line: 'jailbuild build jails/one --form', offers: ['--format'] },
  { line: 'jailbuild --format ', offers: ['json', 'table'], not: ['jails/', 'run'] },
  { line: 'jailbuild --format json ', offers: ['run', 'jails/'] },
  { line: 'jailbuild jails/one --manifest pl', offers: ['plain.txt'] },
  { line: 'jailbuild jails/one --profile s', offers: ['scp', 'sftp', 'shell'], not: ['base'] },
  { line: 'jailbuild profiles show py', offers: ['python'] },
  { line: 'jailbuild jails/one -- jb-f', offers: ['jb-first'] },
  { line: 'jailbuild run jails/one --net', offers: ['--network'], not: ['--format'] },
  { line: 'jailbuild run jails/one --network n', offers: ['none'] },
  { line: 'jailbuild jails/one --sysroot j', offers: ['jails/'] },
  { line: 'jailbuild export ja', offers: ['jails/', 'jailbuild'] },
  { line: 'jailbuild export jails/one --to t', offers: ['tar:'], not: ['oci:'] },
  { line: 'jailbuild export jails/one --layers by', offers: ['by-library', 'by-package'] },
  { line: 'jailbuild run ', offers: ['jails/'], not: NAMES },
  { line: 'jailbuild run jails/one -- ', offers: ['inside', 'other'], not: ['jb-first', 'jails/'] },
  { line: 'jailbuild run --network none jails/one -- ins', offers: ['inside'] },
  { line: 'jailbuild run jails/one -- inside pl', offers: ['plain.txt'] },
];

/** Creates a directory with jails, programs and files to complete. */
function playground(): { readonly directory: string; readonly env: NodeJS.ProcessEnv } {
  const directory = tempDir();
  for (const name of ['jails/one/usr/bin', 'jails/one/bin', 'jails/two', 'programs']) {
    mkdirSync(path.join(directory, name), { recursive: true });
  }
  const files = ['jails/one/usr/bin/inside', 'jails/one/bin/other', 'programs/jb-first'];
  for (const name of [...files, 'programs/jb-second', 'programs/jailbuild']) {
    writeFileSync(
      path.join(directory, name),
      `#!/bin/sh\nexec ${process.execPath} ${JAILBUILD} "$@"\n`,
    );
    chmodSync(path.join(directory, name), 0o755);
  }
  for (const name of ['plain.txt', 'jails/note', 'programs/jb-data']) {
    writeFileSync(path.join(directory, name), '');
  }
  const env = {
    PATH: `${path.join(directory, 'programs')}:${process.env.PATH}`,
    HOME: directory,
    TERM: 'xterm',
    LC_ALL: 'C.UTF-8',
  };
  return { directory, env };
}

function check(offered: readonly string[], { offers, not = [] }: Case): void {
  const shown = offered.join(' ');
  for (const word of offers) assert.ok(offered.includes(word), `no ${word} in: ${shown}`);
  for (const word of not) assert.ok(!offered.includes(word), `${word} is offered in: ${shown}`);
}

describe('the built scripts equal the printed ones', () => {
  const files = [
    ['bash', 'jailbuild.bash'],
    ['zsh', '_jailbuild'],
    ['fish', 'jailbuild.fish'],
  ] as const;
  for (const [shell, name] of files) {
    test(shell, needs('cmp'), () => {
      const { stdout, status } = jailbuild(['completion', shell]);
      assert.equal(status, 0);
      const { status: differs } = exec('cmp', [path.join(SCRIPTS, name), '-'], { input: stdout });
      assert.equal(differs, 0);
    });
  }

  test('an unknown shell is refused', () => {
    const { status, stderr } = jailbuild(['completion', 'csh']);
    assert.equal(status, 2);
    assert.match(stderr, /^jailbuild: csh: give bash, zsh or fish /);
  });
});

describe('completion in bash', needs('bash'), () => {
  const { directory, env } = playground();

  /** Does readline's part: splits words at its separators, and adds `/` to directories. */
  function complete(line: string): string[] {
    const words: string[] = line.match(/[^\s=:]+|[=:]+/g) ?? [];
    if (/[\s=:]$/.test(line)) words.push('');
    const script = `
      source ${SCRIPTS}/jailbuild.bash
      compopt() { [[ $* == *filenames* ]] && filenames=yes; true; }
      COMP_LINE=$1 COMP_POINT=\${#1}
      COMP_WORDS=("\${@:2}")
      COMP_CWORD=$(( \${#COMP_WORDS[@]} - 1 ))
      _jailbuild
      for reply in "\${COMPREPLY[@]}"; do
        [[ $filenames && -d $reply ]] && reply+=/
        printf '%s\\n' "$reply"
      done`;
    const { stdout, stderr, status } = exec(
      'bash',
      ['--norc', '-c', script, 'bash', line, ...words],
      { cwd: directory, env },
    );
    assert.equal(stderr, '');
    assert.equal(status, 0);
    return stdout.split('\n').filter((word) => word !== '');
  }

  for (const given of CASES) test(given.line, () => check(complete(given.line), given));

  test('offers every option of every command', () => {
    for (const { name, options } of COMMANDS) {
      const offered = complete(`jailbuild ${name} -`);
      const all = shownOptions(options).flatMap(([long, spec]) => spellings(long, spec));
      assert.deepEqual(new Set(offered), new Set([...all, '-h', '--help', '-V', '--version']));
    }
  });

  test('offers values after =', () => {
    assert.deepEqual(complete('jailbuild jails/one --format='), ['table', 'json', 'github']);
    assert.deepEqual(complete('jailbuild jails/one --manifest=pl'), ['plain.txt']);
  });

  test('offers file names after the format of an archive', () => {
    assert.deepEqual(complete('jailbuild export jails/one --to tar:pl'), ['plain.txt']);
    assert.deepEqual(complete('jailbuild export jails/one --to=oci:ja'), ['jails/']);
  });
});

describe('completion in fish', needs('fish'), () => {
  const { directory, env } = playground();

  function complete(line: string): string[] {
    const { stdout, stderr, status } = exec(
      'fish',
      ['--no-config', '-c', `source ${SCRIPTS}/jailbuild.fish; complete -C $argv[1]`, line],
      { cwd: directory, env },
    );
    assert.equal(stderr, '');
    assert.equal(status, 0);
    return stdout.split('\n').map((row) => row.replace(/\t.*/, ''));
  }

  for (const given of CASES) test(given.line, () => check(complete(given.line), given));

  test('offers every option of every command', () => {
    for (const { name, options } of COMMANDS) {
      const offered = new Set(
        complete(`jailbuild ${name} -`).concat(complete(`jailbuild ${name} --`)),
      );
      for (const [long, spec] of shownOptions(options)) {
        for (const spelling of spellings(long, spec)) assert.ok(offered.has(spelling), spelling);
      }
    }
  });

  test('offers values after =', () => {
    const offered = complete('jailbuild jails/one --format=');
    assert.deepEqual(offered.filter((word) => word !== '').sort(), [
      '--format=github',
      '--format=json',
      '--format=table',
    ]);
  });

  test('offers file names after the format of an archive', () => {
    const offered = complete('jailbuild export jails/one --to tar:pl');
    assert.deepEqual(
      offered.filter((word) => word !== ''),
      ['tar:plain.txt'],
    );
  });
});

const terminal = existsSync(BASH_COMPLETION)
  ? needs('tmux', 'bash', 'zsh', 'fish')
  : { skip: 'needs bash-completion' };

describe('completion in a real terminal', terminal, () => {
  // Before the directory with the socket is removed.
  after(() => {
    tmux('kill-server');
  });
  const { directory, env } = playground();
  const socket = path.join(directory, 'tmux');
  const tmux = (...args: string[]) =>
    exec('tmux', ['-S', socket, '-f', '/dev/null', ...args], { cwd: directory, env });

  before(() => {
    writeFileSync(
      path.join(directory, 'bashrc'),
      `. ${BASH_COMPLETION}
       BASH_COMPLETION_USER_DIR=${directory}/user
       bind 'set show-all-if-ambiguous on'; bind 'set page-completions off'; PS1='> '\n`,
    );
    mkdirSync(path.join(directory, 'user/completions'), { recursive: true });
    const installed = path.join(directory, 'user/completions/jailbuild');
    writeFileSync(installed, jailbuild(['completion', 'bash']).stdout);
    mkdirSync(path.join(directory, 'zsh'));
    writeFileSync(
      path.join(directory, 'zsh/.zshrc'),
      `fpath=(${SCRIPTS} $fpath); autoload -U compinit; compinit -u -D; PS1='> '; LISTMAX=0\n`,
    );
  });

  async function screen(session: string, texts: readonly string[]): Promise<string> {
    let shown = '';
    for (let tries = 0; tries < 2400; tries++) {
      shown = tmux('capture-pane', '-p', '-t', session).stdout;
      const words = shown.split(/\s+/);
      if (
        texts.every((text) => (text.includes(' ') ? shown.includes(text) : words.includes(text)))
      ) {
        return shown;
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    throw new Error(`no ${texts.join(' ')} on\n${shown}`);
  }

  /** Deletes what was typed, until only the prompt is left. */
  async function clear(session: string): Promise<void> {
    for (let tries = 0; tries < 1200; tries++) {
      tmux('send-keys', '-t', session, 'C-c');
      tmux('send-keys', '-t', session, 'C-l');
      await new Promise((resolve) => setTimeout(resolve, 50));
      if (tmux('capture-pane', '-p', '-t', session).stdout.trim() === '>') return;
    }
    throw new Error('the line is not cleared');
  }

  const shells = {
    bash: `bash --noprofile --rcfile ${directory}/bashrc -i`,
    zsh: `env ZDOTDIR=${directory}/zsh zsh -d -i`,
    fish: `fish --no-config -i -C 'source ${SCRIPTS}/jailbuild.fish; function fish_prompt; echo -n "> "; end'`,
  };
  for (const [shell, command] of Object.entries(shells)) {
    test(`${shell}: completes words and lists them on the Tab key`, async () => {
      tmux('new-session', '-d', '-s', shell, '-x', '150', '-y', '40', command);
      await screen(shell, ['>']);
      // A line, and what the screen shows after the Tab key.
      const steps: readonly (readonly [string, readonly string[]])[] = [
        ['jailbuild compl', ['> jailbuild completion']],
        ['jailbuild completion ', ['bash', 'zsh', 'fish']],
        ['jailbuild jails/o', ['> jailbuild jails/one/']],
        ['jailbuild jails/one jb-', ['jb-first', 'jb-second']],
        ['jailbuild jails/one --form', ['> jailbuild jails/one --format']],
        ['jailbuild jails/one --format=j', ['> jailbuild jails/one --format=json']],
        ['jailbuild jails/one jb-first --manifest pl', ['jb-first --manifest plain.txt']],
        ['jailbuild run jails/one --network n', ['> jailbuild run jails/one --network none']],
        ['jailbuild export jails/one --to tar:pl', ['--to tar:plain.txt']],
        ['jailbuild export jails/one --to oci-a', ['--to oci-archive:']],
        ['jailbuild run jails/one -- ', ['inside', 'other']],
        ['jailbuild run jails/one -- ins', ['> jailbuild run jails/one -- inside']],
      ];
      for (const [line, shown] of steps) {
        tmux('send-keys', '-t', shell, '-l', line);
        tmux('send-keys', '-t', shell, 'Tab');
        await screen(shell, shown);
        await clear(shell);
      }
    });
  }
});
