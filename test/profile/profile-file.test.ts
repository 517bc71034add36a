import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { loadProfiles } from '../../src/profile/load.js';
import { jailbuild } from '../support/cli.js';
import { tempDir } from '../support/temp-dir.js';

const directory = tempDir();

function profile(text: string): string {
  const file = path.join(directory, 'mine.yaml');
  writeFileSync(file, `summary: Mine\n${text}\n`);
  return file;
}

describe('a mistake in a profile is reported with line and column', () => {
  const refused = (text: string, expected: string) =>
    test(text, () => {
      const file = profile(text);
      assert.throws(() => loadProfiles([file]), {
        code: 'PROFILE_INVALID',
        message: `${file}:${expected}`,
      });
    });

  refused('progams: [ls]', '2:1: unknown key progams; did you mean programs?');
  refused('files: [etc/motd]', '2:9: files[0] is "etc/motd", but must be an absolute path');
  refused(
    'files: [{ path: /etc/motd, mode: 0644 }]',
    '2:34: files[0].mode is 644, but must be four octal digits in quotes, as "0755"',
  );
  refused('devices: [{ path: /dev/x, type: character }]', '2:11: devices[0] lacks major, minor');
  refused('devices: [{ path: /dev/x, type: block, major: 8 }]', '2:11: devices[0] lacks minor');
});

test('a fifo needs no device numbers', () => {
  const [mine] = loadProfiles([profile('devices: [{ path: /run/queue, type: fifo }]')]);
  assert.equal(mine?.devices?.length, 1);
});

test('a build refers to the notes of its profiles', () => {
  const file = profile('programs: [ls]\nnotes: Feed it.');
  const without = path.join(directory, 'silent.yaml');
  writeFileSync(without, 'summary: Nothing to say\n');
  const last = (...args: readonly string[]) =>
    jailbuild([`${directory}/noted`, '--insecure-parents', ...args])
      .stdout.split('\n')
      .at(-2);
  const both = ['-p', file, '-p', without, '-p', 'locale'];
  assert.equal(last(...both), `Notes: jailbuild profiles show ${file} locale`);
  assert.equal(last('-p', without), '...... Done');
  assert.equal(last(...both, '--quiet'), undefined);
});

test('an unknown owner causes a warning', () => {
  const file = profile(
    'programs: [ls]\ndirectories: [{ path: /data, owner: [no-such-user, nor-me] }]',
  );
  const { stderr, status } = jailbuild([`${directory}/jail`, '-p', file, '--dry-run']);
  assert.equal(
    stderr,
    'jailbuild: warning: /data: no user no-such-user or nor-me exists: its owner is root\n',
  );
  assert.equal(status, 0);
});
