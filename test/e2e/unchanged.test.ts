import assert from 'node:assert/strict';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { exec, JAILBUILD, jailbuild } from '../support/cli.js';
import { fails } from '../support/fails.js';
import { needsRoot } from '../support/need.js';
import { makeSysroot } from '../support/sysroot.js';
import { tempDir } from '../support/temp-dir.js';
import { snapshot } from '../support/tree.js';

const FINGERPRINT = '.jailbuild/fingerprint';

describe('a build without any changes', needsRoot('strace'), async () => {
  const jails = new Map<string, { host: string; jail: string; before: string }>();
  const names = ['still', 'new', 'hidden', 'broken', 'other'];
  for (const name of names) {
    const directory = tempDir();
    const host = makeSysroot(directory, 'ls', 'true');
    const jail = path.join(directory, 'jail');
    // The library of one exists, that of the other does not.
    writeFileSync(`${host}/etc/nsswitch.conf`, 'passwd: files extra\n');
    const { status, stderr } = jailbuild([jail, 'ls', '--sysroot', host, '-q']);
    assert.equal(status, 0, stderr);
    jails.set(name, { host, jail, before: readFileSync(`${jail}/.jailbuild/record.json`, 'utf8') });
  }
  // Files changed just now could change again without getting another time.
  await new Promise((resolve) => setTimeout(resolve, 2100));

  const set = (name: string) => {
    const made = jails.get(name);
    assert.ok(made !== undefined);
    // A slow first build has already stored one.
    rmSync(`${made.jail}/${FINGERPRINT}`, { force: true });
    assert.equal(again(made.jail), upToDate(made.jail));
    assert.equal(existsSync(`${made.jail}/${FINGERPRINT}`), true);
    return made;
  };

  test('reads neither the host nor the jail, and gives the same result', () => {
    const { host, jail, before } = set('still');
    const tree = snapshot(jail);
    const log = path.join(tempDir(), 'log');
    for (const words of [
      ['update', jail],
      [jail, 'ls', '--sysroot', host],
    ]) {
      const call = ['-f', '-qq', '-o', log, '-e', 'trace=open,openat,openat2,execve'];
      const { status, stderr } = exec('strace', [...call, process.execPath, JAILBUILD, ...words]);
      assert.equal(status, 0, stderr);
      const opened = readFileSync(log, 'utf8')
        .split('\n')
        .filter((line) => line.includes(host) || line.includes(jail) || line.includes('engine'));
      const ours = opened.filter((line) => !line.includes('execve') || line.includes('engine'));
      // Only the jail's directory, for its record, and the sysroot, which could be a directory of
      // packages.
      for (const line of ours) {
        assert.match(line, /"[^"]*\/(jail|host)", O_RDONLY\|O_[^ ]*DIRECTORY/);
      }
    }
    assert.deepEqual(snapshot(jail), tree);
    assert.equal(readFileSync(`${jail}/.jailbuild/record.json`, 'utf8'), before);
    assert.match(jailbuild(['check', jail]).stdout, /^Clean/);
  });

  test('detects that another program comes first on PATH now', () => {
    const { host, jail } = set('new');
    mkdirSync(`${host}/usr/local/bin`, { recursive: true });
    copyFileSync(`${host}/usr/bin/true`, `${host}/usr/local/bin/ls`);
    assert.match(again(jail), /^\+ \/usr\/local\/bin\/ls$/m);
  });

  test('detects an entry in the jail that affects its programs', () => {
    const { jail } = set('hidden');
    const [libc = ''] = readdirSync(jail, { recursive: true, encoding: 'utf8' }).filter((name) =>
      name.endsWith('/libc.so.6'),
    );
    const module = path.join(jail, path.dirname(libc), 'libnss_extra.so.2');
    writeFileSync(module, '\x7fELF, and no more');
    fails('VERIFY_FAILED', /in the jail: .*libnss_extra\.so\.2: malformed/, ['update', jail]);
    rmSync(module);
    assert.equal(again(jail), upToDate(jail));
  });

  test('ignores a damaged fingerprint, or one of another record', () => {
    const { jail, before } = set('broken');
    for (const text of ['{', 'null', '{"schema":"jailbuild.proof/1"}']) {
      writeFileSync(`${jail}/${FINGERPRINT}`, text);
      assert.equal(again(jail), upToDate(jail));
      assert.notEqual(readFileSync(`${jail}/${FINGERPRINT}`, 'utf8'), text);
    }
    // The same record with another time may have been changed.
    const other = before.replace('"programs":["ls"]', '"programs":["true"]');
    assert.notEqual(other, before);
    writeFileSync(`${jail}/.jailbuild/record.json`, other);
    assert.match(again(jail), /^\+ \/usr\/bin\/true$/m);
  });

  test('adds what is newly requested', () => {
    const { host, jail } = set('other');
    const { status, stdout } = jailbuild([jail, 'true', '--sysroot', host, '--json']);
    assert.equal(status, 0);
    assert.match(stdout, /"\/usr\/bin\/true"/);
    assert.ok(existsSync(`${jail}/usr/bin/true`));
  });
});

function again(jail: string): string {
  const { status, stdout, stderr } = jailbuild(['update', jail]);
  assert.equal(status, 0, stderr);
  return stdout;
}

function upToDate(jail: string): string {
  const { manifest } = JSON.parse(readFileSync(`${jail}/.jailbuild/record.json`, 'utf8'));
  return `Up to date: ${manifest.entries.length} entries\n`;
}
