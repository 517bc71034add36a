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
import { hostState, isHostUnchanged, jailState } from '../../src/jail/record/fingerprint.js';
import type { StateBlock } from '../../src/jail/record/state-blocks.js';
import { needsRoot } from '../support/need.js';
import { tempDir } from '../support/temp-dir.js';

/** Long after the files of a test were created. */
const LATER = Date.now() + 60_000;

/**
 * Creates a host where a library was found behind a link, and another library and a configuration
 * file were searched.
 */
function lookedAt(began = LATER) {
  const host = path.join(tempDir(), 'host');
  mkdirSync(`${host}/usr/lib`, { recursive: true });
  mkdirSync(`${host}/etc/conf.d`, { recursive: true });
  writeFileSync(`${host}/usr/lib/libx.so.1.0`, 'library');
  symlinkSync('libx.so.1.0', `${host}/usr/lib/libx.so.1`);
  writeFileSync(`${host}/etc/conf.d/a.conf`, '');
  mkdirSync(`${host}/etc/links`);
  symlinkSync('/one', `${host}/etc/links/a`);
  const sysroot = new Sysroot(host);
  for (const name of ['/usr/lib/libx.so.1', '/usr/lib/liby.so', '/opt/lib/libx.so.1']) {
    sysroot.trace(name);
  }
  const settings = sysroot.trace('/etc/conf.d');
  assert.ok('stat' in settings);
  sysroot.list(settings);
  const links = sysroot.trace('/etc/links');
  assert.ok('stat' in links);
  sysroot.linksIn(links);
  const observed = sysroot.observed();
  assert.ok(observed !== undefined);
  const isPlanned = (at: string) => at.startsWith('/usr');
  const state = hostState(observed, host, began, isPlanned);
  return { host, state, observed };
}

function isUnchanged(host: string, state: Iterable<StateBlock>): boolean {
  return isHostUnchanged({ sourceRoot: host, host: state });
}

describe('a change of what the resolver read is detected', needsRoot(), () => {
  const library = '/usr/lib/libx.so.1.0';
  const changes: Record<string, (host: string) => void> = {
    'a file with another time': (host) => utimesSync(host + library, 1, 1),
    'a file with other content, but the same size and time': (host) => {
      const { atime, mtime } = statSync(host + library);
      writeFileSync(host + library, 'virulent'.slice(0, 7));
      utimesSync(host + library, atime, mtime);
    },
    'a file with another mode': (host) => chmodSync(host + library, 0o600),
    'a file with another owner': (host) => chownSync(host + library, 7, 7),
    'a file replaced by an identical one': (host) => {
      const { atime, mtime } = statSync(host + library);
      writeFileSync(`${host}/new`, readFileSync(host + library));
      utimesSync(`${host}/new`, atime, mtime);
      renameSync(`${host}/new`, host + library);
    },
    'a removed file': (host) => rmSync(host + library),
    'a link with another target': (host) => {
      rmSync(`${host}/usr/lib/libx.so.1`);
      symlinkSync('libx.so.1.1', `${host}/usr/lib/libx.so.1`);
    },
    'a file at a path where none was found': (host) => writeFileSync(`${host}/usr/lib/liby.so`, ''),
    'a link at a path where nothing was found': (host) => symlinkSync('usr', `${host}/opt`),
    'a directory of the jail with another mode': (host) => chmodSync(`${host}/usr`, 0o700),
    'a directory replaced by a link': (host) => {
      renameSync(`${host}/etc`, `${host}/conf`);
      symlinkSync('conf', `${host}/etc`);
    },
    'a new name in a listed directory': (host) => writeFileSync(`${host}/etc/conf.d/b.conf`, ''),
    'another link in a directory of links': (host) => {
      const { atime, mtime } = statSync(`${host}/etc/links`);
      rmSync(`${host}/etc/links/a`);
      symlinkSync('/other', `${host}/etc/links/a`);
      utimesSync(`${host}/etc/links`, atime, mtime);
    },
    'a removed name in a listed directory': (host) => rmSync(`${host}/etc/conf.d/a.conf`),
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

test('unrelated changes are ignored', () => {
  const { host, state } = lookedAt();
  assert.ok(state !== undefined);
  writeFileSync(`${host}/etc/passwd`, '');
  mkdirSync(`${host}/srv`);
  chmodSync(`${host}/etc`, 0o711);
  assert.equal(isUnchanged(host, state), true);
});

test('no fingerprint is made if files have just changed, or have changed since they were read', () => {
  assert.equal(lookedAt(Date.now()).state, undefined);
  const { host, observed } = lookedAt();
  utimesSync(`${host}/usr/lib/libx.so.1.0`, 1, 1);
  assert.equal(
    hostState(observed, host, LATER, () => true),
    undefined,
  );
});

test('no fingerprint is made if programs in the jail find files that the manifest lacks', () => {
  const { observed } = lookedAt();
  assert.equal(
    jailState(observed, 1, (at) => at.startsWith('/usr')),
    undefined,
  );
  assert.equal(jailState(observed, 1, () => true)?.files, 1);
});
