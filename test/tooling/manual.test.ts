import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { COMMANDS } from '../../src/cli/commands/index.js';
import { placeholderOf, shownOptions, spellings } from '../../src/cli/option-text.js';
import { optionsInSource } from '../../src/tooling/invoke-ns-page.js';
import { roffLines, roffSentence, roffUsage } from '../../src/tooling/roff.js';
import { exec, INVOKE_NS, PROJECT } from '../support/cli.js';
import { needs } from '../support/need.js';

const PAGES = ['jailbuild.1', 'invoke_ns.1'].map((name) => path.join(PROJECT, 'dist/man', name));

/** Returns a page as a reader sees it, without line breaks. */
function rendered(page: string): string {
  const { stdout, stderr, status } = exec('man', ['--warnings', '-l', page], {
    env: { ...process.env, LC_ALL: 'C.UTF-8', MANWIDTH: '500', MAN_KEEP_FORMATTING: '' },
  });
  assert.equal(stderr, '');
  assert.equal(status, 0);
  return stdout.replace(/\s+/g, ' ');
}

describe('manual pages', () => {
  for (const page of PAGES) {
    const name = path.basename(page);

    test(`${name}: mandoc reports nothing`, needs('mandoc'), () => {
      const { stdout, status } = exec('mandoc', ['-T', 'lint', '-W', 'style', page]);
      assert.equal(stdout, '');
      assert.equal(status, 0);
    });

    test(`${name}: groff reports no warnings`, needs('groff'), () => {
      const { stdout, stderr, status } = exec('groff', ['-man', '-ww', '-z', '-T', 'utf8', page]);
      assert.equal(stdout + stderr, '');
      assert.equal(status, 0);
    });
  }

  test('jailbuild(1) contains every command and option', needs('man'), () => {
    const text = rendered(PAGES[0] as string);
    for (const { name, options, examples } of COMMANDS) {
      const section = text.slice(text.indexOf(` jailbuild ${name} `, text.indexOf(' COMMANDS ')));
      for (const [long, spec] of shownOptions(options)) {
        const value = placeholderOf(spec);
        const entry = spellings(long, spec).join(', ') + (value === undefined ? ' ' : ` ${value} `);
        assert.ok(section.includes(` ${entry}`), `${name}: ${entry}`);
      }
      for (const [line] of examples) {
        assert.ok(section.includes(` jailbuild ${line.replace(/\s+/g, ' ')} `), line);
      }
    }
    for (const heading of ['SYNOPSIS', 'EXIT STATUS', 'ENVIRONMENT', 'EXAMPLES', 'SEE ALSO']) {
      assert.ok(text.includes(` ${heading} `), heading);
    }
  });

  test('invoke_ns(1) contains every option of its help', needs('man'), () => {
    const help = exec(INVOKE_NS, ['--help']).stdout;
    const table = readFileSync(`${PROJECT}/src/native/launcher/options.h`, 'utf8');
    const text = rendered(PAGES[1] as string);
    const rows = optionsInSource(table);
    assert.ok(rows.length >= 40);
    const flat = help.replace(/\s+/g, ' ');
    for (const row of rows) {
      assert.notEqual(row.text, '');
      if (row.kind === 'heading') continue;
      assert.ok(flat.includes(` ${row.words} ${row.text} `), row.words);
      assert.ok(text.includes(` ${row.words} `), row.words);
    }
    const printed = help.match(/(?<=^ {2}(?:-\w, )?)--?\w[\w-]*/gm) ?? [];
    for (const option of printed)
      assert.ok(
        rows.some((row) => row.kind === 'option' && `${row.words} `.includes(option)),
        option,
      );
    assert.match(text, / -c DIR With DIR as the root directory\. /);
  });

  test('the package only names pages that exist', () => {
    const { man } = JSON.parse(readFileSync(`${PROJECT}/package.json`, 'utf8'));
    assert.deepEqual(
      man.map((page: string) => path.join(PROJECT, page)),
      PAGES,
    );
  });
});

describe('converting text to roff', () => {
  test('escapes requests and escape sequences', needs('groff'), () => {
    const text = "a\\fB \\n(.x ~^` 'q' \"d\" .TH x - -- .. x' ...";
    const page = `.TH X 1\n${roffLines(roffSentence(text))}\n${roffLines(".SH 'x")}\n`;
    const { stdout } = exec('groff', ['-man', '-Tutf8', '-P-c', '-ww'], { input: page });
    assert.ok(stdout.replace(/\s+/g, ' ').includes(`${text.replaceAll('  ', ' ')} .SH 'x`), stdout);
  });

  test('prints code and options in bold, and placeholders in italics', () => {
    assert.equal(roffSentence('use `ls -l` or --all'), 'use \\fBls \\-l\\fR or \\fB\\-\\-all\\fR');
    assert.equal(
      roffUsage('<root> [program..] [-- command..]'),
      '\\fIroot\\fR [\\fIprogram\\fR...] [\\-\\- command...]',
    );
  });
});
