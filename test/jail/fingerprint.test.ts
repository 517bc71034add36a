import assert from 'node:assert/strict';
import {
  chmodSync,
  chownSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { Sysroot } from '../../src/fs/sysroot.js';
import {
  type HostState,
  hostState,
  isHostUnchanged,
  jailState,
} from '../../src/jail/record/fingerprint.js';
import { needsRoot } from '../support/need.js';
import { tempDir } from '../support/temp-dir.js';

/** Long after the files of a test were made. */
const LATER = Date.now() + 60_000;

/** A host in which a library was found, behind a link, and another one and a file of settings were looked for. */
function lookedAt(began = LATER) {
  const host = path.join(tempDir(), 'host');
  mkdirSync(`${host}/usr/lib`, { recursive: true });
  mkdirSync(`${host}/etc/conf.d`, { recursive: true });
  writeFileSync(`${host}/usr/lib/libx.so.1.0`, 'library');
  symlinkSync('libx.so.1.0', `${host}/usr/lib/libx.so.1`);
  writeFileSync(`${host}/etc/conf.d/a.conf`, '');
  const sysroot = new Sysroot(host);
  for (const name of ['/usr/lib/libx.so.1', '/usr/lib/liby.so', '/opt/lib/libx.so.1']) {
    sysroot.trace(name);
  }
  const settings = sysroot.trace('/etc/conf.d');
  assert.ok('stat' in settings);
  sysroot.list(settings);
  const observed = sysroot.observed();
  assert.ok(observed !== undefined);
  const isPlanned = (at: string) => at.startsWith('/usr');
  const state = hostState(observed, host, began, isPlanned);
  return { host, state, observed };
}

function isUnchanged(host: string, state: HostState): boolean {
  return isHostUnchanged({ sourceRoot: host, host: state });
}

describe('what the resolver looked at is found to be changed', needsRoot(), () => {
  const library = '/usr/lib/libx.so.1.0';
  const changes: Record<string, (host: string) => void> = {
    'by a file with another time': (host) => utimesSync(host + library, 1, 1),
    'by other content of the same size and time': (host) => {
      const { atime, mtime } = statSync(host + library);
      writeFileSync(host + library, 'virulent'.slice(0, 7));
      utimesSync(host + library, atime, mtime);
    },
    'by another mode': (host) => chmodSync(host + library, 0o600),
    'by another owner': (host) => chownSync(host + library, 7, 7),
    'by a file in its place that looks the same': (host) => {
      const { atime, mtime } = statSync(host + library);
      writeFileSync(`${host}/new`, readFileSync(host + library));
      utimesSync(`${host}/new`, atime, mtime);
      renameSync(`${host}/new`, host + library);
    },
    'by a file that is gone': (host) => rmSync(host + library),
    'by a link that leads elsewhere': (host) => {
      rmSync(`${host}/usr/lib/libx.so.1`);
      symlinkSync('libx.so.1.1', `${host}/usr/lib/libx.so.1`);
    },
    'by a file where there was none': (host) => writeFileSync(`${host}/usr/lib/liby.so`, ''),
    'by a link where there was nothing': (host) => symlinkSync('usr', `${host}/opt`),
    'by a directory of the jail with another mode': (host) => chmodSync(`${host}/usr`, 0o700),
    'by a directory that has become a link': (host) => {
      renameSync(`${host}/etc`, `${host}/conf`);
      symlinkSync('conf', `${host}/etc`);
    },
    'by a name more in a directory that was listed': (host) =>
      writeFileSync(`${host}/etc/conf.d/b.conf`, ''),
    'by a directory that was listed and is gone': (host) => rmSync(`${host}/etc/conf.d/a.conf`),
  };
  for (const [how, change] of Object.entries(changes)) {
    test(how, () => {
      const { host, state } = lookedAt();
      assert.ok(state !== undefined);
      assert.equal(isUnchanged(host, state), true);
      change(host);
      assert.equal(isUnchanged(host, state), false);
    });
  }
});

test('what happens beside it is no change', () => {
  const { host, state } = lookedAt();
  assert.ok(state !== undefined);
  writeFileSync(`${host}/etc/passwd`, '');
  mkdirSync(`${host}/srv`);
  chmodSync(`${host}/etc`, 0o711);
  assert.equal(isUnchanged(host, state), true);
});

test('files that changed a moment ago prove nothing, nor those that changed since', () => {
  assert.equal(lookedAt(Date.now()).state, undefined);
  const { host, observed } = lookedAt();
  utimesSync(`${host}/usr/lib/libx.so.1.0`, 1, 1);
  assert.equal(
    hostState(observed, host, LATER, () => true),
    undefined,
  );
});

test('a jail in which the programs find what the manifest does not have proves nothing', () => {
  const { observed } = lookedAt();
  assert.equal(
    jailState(observed, 1, (at) => at.startsWith('/usr')),
    undefined,
  );
  assert.equal(jailState(observed, 1, () => true)?.files, 1);
});
