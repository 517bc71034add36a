import assert from 'node:assert/strict';
import { closeSync, mkdirSync, openSync, readdirSync, readSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { type Closure, resolve } from '../../src/resolve/resolve.js';
import { makeElf } from '../support/make-elf.js';
import { tempDir } from '../support/temp-dir.js';
import { type VersionParts, versionedElf } from '../support/version-elf.js';

const DT = { NEEDED: 1, SONAME: 14, RPATH: 15, RUNPATH: 29 } as const;
const LOADER = '/lib64/ld-linux-x86-64.so.2';
const LOADER_ELF = makeElf({ dynamic: [[DT.SONAME, 'ld-linux-x86-64.so.2']] }).bytes;
/** Number of programs of the host to compare. */
const MOST = 30;

/**
 * Returns what a closure records about programs: every file with its reasons, and what is missing.
 */
function said({ files, missing }: Closure): Set<string> {
  return new Set([
    ...files.flatMap(({ path, reasons }) =>
      reasons.map((reason) => JSON.stringify([path, Object.entries(reason).sort()])),
    ),
    ...missing.map((library) => JSON.stringify(library)),
  ]);
}

function resolved(sysroot: string, programs: readonly string[]): Closure {
  return resolve({ programs, sysroot, terminfo: 'none', ldCache: 'none', cwd: '/' });
}

/** Checks that programs resolved together get what each gets alone, in any order. */
function compare(sysroot: string, orders: readonly (readonly string[])[]): void {
  const alone = new Map<string, Set<string>>();
  for (const programs of orders) {
    const expected = new Set<string>();
    for (const program of programs) {
      const own = alone.get(program) ?? said(resolved(sysroot, [program]));
      alone.set(program, own);
      for (const fact of own) expected.add(fact);
    }
    assert.deepEqual([...said(resolved(sysroot, programs))].sort(), [...expected].sort());
  }
}

/** Returns all pairs in both orders, and all programs together. */
function ordersOf(items: readonly string[]): (readonly string[])[] {
  const pairs = items.flatMap((one) =>
    items.flatMap((other) => (one === other ? [] : [[one, other]])),
  );
  return [...pairs, items, [...items].reverse()];
}

/** Creates programs that differ from similar ones in one respect each. */
function made(): { readonly root: string; readonly programs: readonly string[] } {
  const root = tempDir();
  for (const directory of ['/lib64', '/lib', '/opt', '/bin']) mkdirSync(root + directory);
  writeFileSync(root + LOADER, LOADER_ELF, { mode: 0o755 });
  const library = (at: string, soname: string, others: VersionParts = {}) =>
    writeFileSync(
      root + at,
      versionedElf({ ...others, dynamic: [[DT.SONAME, soname], ...(others.dynamic ?? [])] }),
    );
  library('/lib/libx.so.1', 'libx.so.1', {
    defines: ['libx.so.1', 'X_1', 'X_2'],
    dynamic: [[DT.NEEDED, 'liby.so.1']],
  });
  library('/lib/liby.so.1', 'liby.so.1', { defines: ['liby.so.1', 'Y_1'] });
  library('/opt/liby.so.1', 'liby.so.1');
  const program = (name: string, parts: VersionParts = {}) => {
    const dynamic = [[DT.NEEDED, 'libx.so.1'] as const, ...(parts.dynamic ?? [])];
    const bytes = versionedElf({ interpreter: LOADER, ...parts, dynamic });
    writeFileSync(`${root}/bin/${name}`, bytes, { mode: 0o755 });
    return `/bin/${name}`;
  };
  const needs = (file: string, version: string) => [{ file, version, isWeak: false }];
  return {
    root,
    programs: [
      program('plain'),
      program('alike'),
      program('versioned', { needs: needs('libx.so.1', 'X_2') }),
      program('lacking', { needs: needs('libx.so.1', 'X_3') }),
      program('beside', { needs: needs('libz.so.1', 'Z_1') }),
      program('by-rpath', { dynamic: [[DT.RPATH, '/opt']] }),
    ],
  };
}

test('nearly identical programs get what each gets alone, in any order', () => {
  const { root, programs } = made();
  const { missing, files } = resolved(root, programs);
  assert.deepEqual(
    missing.map(({ neededBy, version }) => [neededBy, version?.name]),
    [
      ['/bin/lacking', 'X_3'],
      ['/bin/beside', 'Z_1'],
    ],
  );
  assert.ok(files.some(({ path }) => path === '/opt/liby.so.1'));
  compare(root, ordersOf(programs));
});

test('programs of the host get what each gets alone', () => {
  const programs = readdirSync('/usr/bin').map((name) => `/usr/bin/${name}`);
  const elf = programs.sort().filter(isElf);
  const step = Math.max(1, Math.floor(elf.length / MOST));
  const some = elf.filter((_, index) => index % step === 0).slice(0, MOST);
  compare('/', [some, [...some].reverse()]);
});

function isElf(path: string): boolean {
  try {
    const fd = openSync(path, 'r');
    const start = Buffer.alloc(4);
    readSync(fd, start, 0, 4, 0);
    closeSync(fd);
    return start.toString('latin1') === '\x7fELF';
  } catch {
    return false;
  }
}
