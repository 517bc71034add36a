import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { COMMANDS } from '../../src/cli/commands/index.js';
import { shownOptions, spellings } from '../../src/cli/option-text.js';
import { refuseUnknownOption } from '../../src/cli/usage.js';
import { jailbuild } from '../support/cli.js';

describe('help', () => {
  for (const command of COMMANDS) {
    test(`${command.name} --help lists every option, in 80 columns`, () => {
      const { status, stdout, stderr } = jailbuild([command.name, '--help']);
      assert.equal(status, 0, stderr);
      assert.equal(stderr, '');
      assert.match(stdout, new RegExp(`^Usage: jailbuild \\[?${command.name}\\b`));
      for (const line of stdout.split('\n')) assert.ok(line.length <= 80, line);
      for (const [name, spec] of shownOptions(command.options)) {
        for (const spelling of spellings(name, spec)) {
          assert.match(stdout, new RegExp(`(^|\\s)${spelling}[ ,\n]`, 'm'));
        }
        assert.ok(spec.describe, `--${name} has no description`);
      }
      for (const [line] of command.examples)
        assert.ok(stdout.includes(`jailbuild ${line}\n`), line);
    });

    test(`the examples of ${command.name} only use its own options`, () => {
      for (const [line] of command.examples) {
        const words = line.split(' ');
        // An example may also show the next command.
        const shown = COMMANDS.find(({ name }) => name === words[0]) ?? command;
        refuseUnknownOption(words, shown);
      }
    });
  }

  test('--help before the command, beside it or after its arguments prints its help', () => {
    const { stdout } = jailbuild(['run', '-h']);
    assert.equal(jailbuild(['--help', 'run']).stdout, stdout);
    assert.equal(jailbuild(['run', '/srv/jail', '--network', 'none', '--help']).stdout, stdout);
    assert.equal(jailbuild(['--network', 'none', 'run', '/srv/jail', '-vh']).stdout, stdout);
  });

  test('the word help does too, unless it is a target', () => {
    assert.equal(jailbuild(['help']).stdout, jailbuild(['--help']).stdout);
    assert.equal(jailbuild(['help', 'run']).stdout, jailbuild(['run', '--help']).stdout);
    assert.match(
      jailbuild(['help', 'no-such-program']).stderr,
      /no-such-program: program not found/,
    );
  });

  test('--help alone lists the commands and the options of a build', () => {
    const { stdout, status } = jailbuild(['--help']);
    assert.equal(status, 0);
    for (const { name, summary } of COMMANDS) {
      assert.match(stdout, new RegExp(`^  ${name} `, 'm'));
      assert.ok(stdout.replace(/\s+/g, ' ').includes(summary));
    }
    assert.match(stdout, /--terminfo/);
    // Words after -- belong to a command.
    const { stderr } = jailbuild(['run', '/nowhere/jail', '--', 'ls', '--help']);
    assert.match(stderr, /\/nowhere\/jail/);
  });

  test('--version prints only the version', () => {
    const { stdout, status } = jailbuild(['run', '--version']);
    assert.match(stdout, /^\d+\.\d+\.\d+\n$/);
    assert.equal(status, 0);
    assert.equal(jailbuild(['-V']).stdout, stdout);
  });
});
