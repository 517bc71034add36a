import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import type { ResolveRequest } from '../../src/manifest/request.js';
import { settleRequest } from '../../src/resolve/environment.js';
import { mergeRequests } from '../../src/resolve/merge-requests.js';
import { tempDir } from '../support/temp-dir.js';

const PATH = ['/usr/bin'];

function merged(earlier: Partial<ResolveRequest>, later: Partial<ResolveRequest>): ResolveRequest {
  return mergeRequests(
    { programs: [], path: PATH, ...earlier },
    { programs: [], path: PATH, ...later },
  );
}

describe('merging two requests', () => {
  const cases: readonly (readonly [
    string,
    Partial<ResolveRequest>,
    Partial<ResolveRequest>,
    Partial<ResolveRequest>,
  ])[] = [
    [
      'keeps each program once',
      { programs: ['ls', 'ps'] },
      { programs: ['env', 'ls'] },
      { programs: ['ls', 'ps', 'env'] },
    ],
    [
      'keeps values that the later request does not set',
      { ldCache: 'none', gconv: ['UTF-16'] },
      {},
      { ldCache: 'none', gconv: ['UTF-16'] },
    ],
    [
      'replaces single values with the later ones',
      { ldCache: 'none' },
      { ldCache: 'copy' },
      { ldCache: 'copy' },
    ],
    [
      'keeps "all" when names are added',
      { timeZones: 'all' },
      { timeZones: ['Europe/Berlin'] },
      { timeZones: 'all' },
    ],
    [
      'replaces names with "all"',
      { timeZones: ['Europe/Berlin'] },
      { timeZones: 'all' },
      { timeZones: 'all' },
    ],
    [
      'merges users by name and replaces earlier ones',
      { users: [{ name: 'a', uid: 1 }, { name: 'b' }] },
      { users: [{ name: 'a', uid: 2 }] },
      { users: [{ name: 'a', uid: 2 }, { name: 'b' }] },
    ],
    [
      'keeps identical includes once',
      { include: [{ from: '/a' }] },
      { include: [{ from: '/a', to: '/b' }, { from: '/a' }] },
      { include: [{ from: '/a' }, { from: '/a', to: '/b' }] },
    ],
    [
      'terminals',
      { terminals: ['xterm'] },
      { terminals: ['tmux', 'xterm'] },
      { terminals: ['xterm', 'tmux'] },
    ],
    [
      'terminfo: adds names to the default',
      {},
      { terminfo: ['vt52'] },
      { terminfo: ['default', 'vt52'] },
    ],
    ['terminfo: names', { terminfo: ['a'] }, { terminfo: ['b'] }, { terminfo: ['a', 'b'] }],
    [
      'terminfo: "none" adds nothing',
      { terminfo: ['a'] },
      { terminfo: 'none' },
      { terminfo: ['a'] },
    ],
    [
      'terminfo: names replace "none"',
      { terminfo: 'none' },
      { terminfo: ['a'] },
      { terminfo: ['a'] },
    ],
    ['terminfo: all', { terminfo: 'all' }, { terminfo: ['a'] }, { terminfo: 'all' }],
    [
      'terminfo: keeps the value if it is not given again',
      { terminfo: 'none' },
      {},
      { terminfo: 'none' },
    ],
  ];
  for (const [name, earlier, later, expected] of cases) {
    test(name, () => {
      assert.deepEqual(merged(earlier, later), { programs: [], path: PATH, ...expected });
    });
  }

  test('a request merged with itself does not change', () => {
    const request = settleRequest({
      programs: ['ls', './x/y'],
      terminfo: ['dumb'],
      users: [{ name: 'u' }],
    });
    assert.deepEqual(mergeRequests(request, request), request);
  });

  test('refuses another root', () => {
    assert.throws(() => merged({}, { sysroot: '/srv/root' }), { code: 'SYSROOT_DIFFERS' });
    assert.equal(merged({ sysroot: '/srv/root' }, {}).sysroot, '/srv/root');
  });

  test('earlier names keep referring to the same programs', () => {
    const root = tempDir();
    for (const file of ['one/tool', 'two/tool', 'one/same', 'two/other']) {
      mkdirSync(path.join(root, path.dirname(file)), { recursive: true });
      writeFileSync(path.join(root, file), '');
      chmodSync(path.join(root, file), 0o755);
    }
    const earlier = { programs: ['tool', 'same', 'gone'], path: ['/one'], sysroot: root };
    const later = { programs: ['tool', 'other'], path: ['/two', '/one'] };
    assert.deepEqual(mergeRequests(earlier, later), {
      programs: ['/one/tool', 'same', 'gone', 'tool', 'other'],
      path: ['/two', '/one'],
      sysroot: root,
    });
  });
});

describe('settling a request', () => {
  test('makes relative paths absolute and keeps names', () => {
    const { programs, include, cwd } = settleRequest({
      programs: ['ls', './a', '../b/c', '/bin/ls'],
      include: [{ from: 'data' }],
      cwd: '/srv/x',
    });
    assert.deepEqual(programs, ['ls', '/srv/x/a', '/srv/b/c', '/bin/ls']);
    assert.deepEqual(include, [{ from: '/srv/x/data' }]);
    assert.equal(cwd, undefined);
  });

  test('records PATH and TERM, but not for another root', () => {
    const { PATH: before, TERM } = process.env;
    process.env.PATH = '/x:/y';
    process.env.TERM = 'vt52';
    try {
      const host = settleRequest({ programs: [] });
      assert.deepEqual([host.path, host.terminals], [['/x', '/y'], ['vt52']]);
      const other = settleRequest({ programs: [], sysroot: 'srv' });
      assert.deepEqual(other.terminals, []);
      assert.equal(other.path?.includes('/x'), false);
      assert.equal(other.sysroot, path.resolve('srv'));
      assert.equal(settleRequest({ programs: [], sysroot: '/' }).sysroot, undefined);
    } finally {
      process.env.PATH = before;
      if (TERM === undefined) delete process.env.TERM;
      else process.env.TERM = TERM;
    }
  });
});
