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

describe('two requests become one', () => {
  const cases: readonly (readonly [
    string,
    Partial<ResolveRequest>,
    Partial<ResolveRequest>,
    Partial<ResolveRequest>,
  ])[] = [
    [
      'programs, each once',
      { programs: ['ls', 'ps'] },
      { programs: ['env', 'ls'] },
      { programs: ['ls', 'ps', 'env'] },
    ],
    [
      'what the later does not say stays',
      { ldCache: 'none', gconv: ['UTF-16'] },
      {},
      { ldCache: 'none', gconv: ['UTF-16'] },
    ],
    [
      'what can be one thing only is the later',
      { ldCache: 'none' },
      { ldCache: 'copy' },
      { ldCache: 'copy' },
    ],
    [
      'all takes in names',
      { timeZones: 'all' },
      { timeZones: ['Europe/Berlin'] },
      { timeZones: 'all' },
    ],
    [
      'names give way to all',
      { timeZones: ['Europe/Berlin'] },
      { timeZones: 'all' },
      { timeZones: 'all' },
    ],
    [
      'users by their names, the later in the place of the earlier',
      { users: [{ name: 'a', uid: 1 }, { name: 'b' }] },
      { users: [{ name: 'a', uid: 2 }] },
      { users: [{ name: 'a', uid: 2 }, { name: 'b' }] },
    ],
    [
      'includes that are the same once',
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
      'terminfo: names beside the usual ones',
      {},
      { terminfo: ['vt52'] },
      { terminfo: ['default', 'vt52'] },
    ],
    ['terminfo: names', { terminfo: ['a'] }, { terminfo: ['b'] }, { terminfo: ['a', 'b'] }],
    [
      'terminfo: none asks for nothing more',
      { terminfo: ['a'] },
      { terminfo: 'none' },
      { terminfo: ['a'] },
    ],
    [
      'terminfo: something after none',
      { terminfo: 'none' },
      { terminfo: ['a'] },
      { terminfo: ['a'] },
    ],
    ['terminfo: all', { terminfo: 'all' }, { terminfo: ['a'] }, { terminfo: 'all' }],
    ['terminfo: not asked again', { terminfo: 'none' }, {}, { terminfo: 'none' }],
  ];
  for (const [name, earlier, later, expected] of cases) {
    test(name, () => {
      assert.deepEqual(merged(earlier, later), { programs: [], path: PATH, ...expected });
    });
  }

  test('with itself a request stays as it is', () => {
    const request = settleRequest({
      programs: ['ls', './x/y'],
      terminfo: ['dumb'],
      users: [{ name: 'u' }],
    });
    assert.deepEqual(mergeRequests(request, request), request);
  });

  test('another root is refused', () => {
    assert.throws(() => merged({}, { sysroot: '/srv/root' }), { code: 'SYSROOT_DIFFERS' });
    assert.equal(merged({ sysroot: '/srv/root' }, {}).sysroot, '/srv/root');
  });

  test('names go on standing for the programs that they stood for', () => {
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

describe('a settled request means the same anywhere', () => {
  test('relative paths are made absolute, names are not', () => {
    const { programs, include, cwd } = settleRequest({
      programs: ['ls', './a', '../b/c', '/bin/ls'],
      include: [{ from: 'data' }],
      cwd: '/srv/x',
    });
    assert.deepEqual(programs, ['ls', '/srv/x/a', '/srv/b/c', '/bin/ls']);
    assert.deepEqual(include, [{ from: '/srv/x/data' }]);
    assert.equal(cwd, undefined);
  });

  test('PATH and TERM are written down, but not for another root', () => {
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
