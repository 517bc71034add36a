import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  build,
  buildManifest,
  checkJail,
  checkRequest,
  dependencyTrees,
  exportRoot,
  JailbuildError,
  planJail,
  planRoot,
  planUpdate,
  reasonsFor,
  removeJail,
  runInJail,
  updateJail,
} from '../../src/index.js';

/** Callers may not use a type checker. */
// biome-ignore lint/suspicious/noExplicitAny: any shape is given
type Any = any;

const isUsage = (message: string) => (error: unknown) => {
  assert.ok(error instanceof JailbuildError, String(error));
  assert.deepEqual([error.code, error.message], ['USAGE', message]);
  return true;
};

const REQUESTS: readonly (readonly [request: unknown, message: string])[] = [
  [undefined, 'request: is missing'],
  [null, 'request: is not an object'],
  [['ls'], 'request: is not an object'],
  ['ls', 'request: is not an object'],
  [{}, 'request: programs: is missing'],
  [{ programs: 'ls' }, 'request: programs: is not a list'],
  [{ program: ['ls'] }, 'request: program: is not a known member; did you mean programs?'],
  [{ programs: [1] }, 'request: programs[0]: is not a string'],
  [{ programs: [''] }, 'request: programs[0]: is empty'],
  [{ programs: ['a\0b'] }, 'request: programs[0]: has a zero byte'],
  [
    { programs: [], terminfo: 'nonsense' },
    'request: terminfo: is neither a list nor "default", "all" or "none"',
  ],
  [{ programs: [], ldCache: 'nope' }, 'request: ldCache: is not "generate", "copy" or "none"'],
  [{ programs: [], nss: true }, 'request: nss: is not "auto" or "none"'],
  [
    { programs: [], dlopen: 'all' },
    'request: dlopen: is not "required", "recommended", "suggested" or "none"',
  ],
  [{ programs: [], gconv: 'UTF-16' }, 'request: gconv: is neither a list nor "all"'],
  [{ programs: [], locales: 'C' }, 'request: locales: is not a list'],
  [{ programs: [], caCertificates: 'yes' }, 'request: caCertificates: is neither true nor false'],
  [{ programs: [], users: ['bob'] }, 'request: users[0]: is not an object'],
  [{ programs: [], users: [{ uid: 1 }] }, 'request: users[0].name: is missing'],
  [
    { programs: [], users: [{ name: 'no body' }] },
    'request: users[0].name: is not a valid user name',
  ],
  [
    { programs: [], users: [{ name: 'bob', uid: -1 }] },
    'request: users[0].uid: is not a number up to 4294967294',
  ],
  [{ programs: [], include: ['/etc/motd'] }, 'request: include[0]: is not an object'],
  [
    { programs: [], include: [{ from: '/etc/motd', to: 'motd' }] },
    'request: include[0].to: is not an absolute path',
  ],
  [{ programs: [], exclude: '/usr/share' }, 'request: exclude: is not a list'],
  [{ programs: [], sysroot: '' }, 'request: sysroot: is empty'],
  [{ programs: [], cwd: 'here' }, 'request: cwd: is not an absolute path'],
  [
    { programs: [], packageDepends: 'some' },
    'request: packageDepends: is not a number up to 9007199254740991',
  ],
];

for (const [request, message] of REQUESTS) {
  test(message, async () => {
    assert.throws(() => checkRequest(request), isUsage(message));
    for (const call of [
      () => build(request as Any, '/nowhere/jail'),
      () => planJail(request as Any, '/nowhere/jail'),
      () => planRoot(request as Any),
      () => dependencyTrees(request as Any),
    ]) {
      await assert.rejects(call, isUsage(message));
    }
  });
}

const CALLS: readonly (readonly [call: () => Promise<unknown>, message: string])[] = [
  [() => build({ programs: ['ls'] }, undefined as Any), 'target: is missing'],
  [() => build({ programs: ['ls'] }, 7 as Any), 'target: is not a string'],
  [() => build({ programs: ['ls'] }, ''), 'target: is empty'],
  [() => build({ programs: ['ls'] }, '/x', null as Any), 'options: is not an object'],
  [
    () => build({ programs: ['ls'] }, '/x', { strict: 'yes' } as Any),
    'options: strict: is neither true nor false',
  ],
  [
    () => build({ programs: ['ls'] }, '/x', { onfile() {} } as Any),
    'options: onfile: is not a known member; did you mean onFile?',
  ],
  [
    () => build({ programs: ['ls'] }, '/x', { onFile: 1 } as Any),
    'options: onFile: is not a function',
  ],
  [
    () => build({ programs: ['ls'] }, '/x', { signal: {} } as Any),
    'options: signal: is not an AbortSignal',
  ],
  [
    () => build({ programs: ['ls'] }, '/x', { changed: 'drop' } as Any),
    'options: changed: is not "keep-configuration", "keep" or "replace"',
  ],
  [() => buildManifest({} as Any, '/x'), 'file: is not a string'],
  [() => updateJail(1 as Any), 'root: is not a string'],
  [
    () => planUpdate('/x', { prone: true } as Any),
    'options: prone: is not a known member; did you mean prune?',
  ],
  [() => checkJail('/x', { ignore: 'stale' } as Any), 'options: ignore: is not a list'],
  [
    () => checkJail('/x', { ignore: ['old'] } as Any),
    'options: ignore[0]: is not "missing", "changed", "foreign", "unresolved", "set-id", "writable", "stale" or "limit"',
  ],
  [() => removeJail('/x', { dryRun: 1 } as Any), 'options: dryRun: is neither true nor false'],
  [() => reasonsFor('/x', 1 as Any), 'file: is not a string'],
  [() => reasonsFor('/x', 'ls', { limit: 0 }), 'options: limit: is not a number up to 10000'],
  [
    () => exportRoot({} as Any, 'tar:/x'),
    'source: requires exactly one of jail, request and manifest',
  ],
  [
    () => exportRoot({ jail: '/x', request: { programs: [] } } as Any, 'tar:/x'),
    'source: requires exactly one of jail, request and manifest',
  ],
  [
    () => exportRoot({ jail: '/x' }, 'zip:/x'),
    '--to zip:/x: give oci:DIR[:TAG], oci-archive:FILE[:TAG], docker-archive:FILE[:REF], docker://NAME[:TAG], tar:FILE, cpio:FILE, squashfs:FILE, erofs:FILE, ext4:FILE[:SIZE] or portable:DIR|FILE.raw',
  ],
  [
    () => exportRoot({ jail: '/x' }, 'tar:/x', { image: { env: ['A'] } }),
    'options: image.env[0]: is not NAME=VALUE',
  ],
  [() => runInJail('/x', 'ls' as Any), 'command: is not a list'],
  [
    () => runInJail('/x', ['ls'], { mounts: [{ source: 'data', target: '/data' }] } as Any),
    'options: mounts[0].readOnly: is missing',
  ],
  [
    () => runInJail('/x', ['ls'], { umask: '999' }),
    'options: umask: is not an octal mask, such as 022',
  ],
];

for (const [call, message] of CALLS) {
  test(message, async () => {
    await assert.rejects(call, isUsage(message));
  });
}

test('undefined members count as missing', () => {
  assert.deepEqual(checkRequest({ programs: ['ls'], terminfo: undefined }), { programs: ['ls'] });
});
