import assert from 'node:assert/strict';
import { closeSync, existsSync, openSync, readdirSync, readSync, statSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { parseElf } from '../../src/elf/parse.js';
import { isTrace, Sysroot } from '../../src/fs/sysroot.js';
import { exec } from '../support/cli.js';
import { needs } from '../support/need.js';

/**
 * Directories with files of many linkers, classes and byte orders, and how many to take from each.
 */
const DIRECTORIES: readonly (readonly [directory: string, count: number])[] = [
  ['/usr/bin', 250],
  ['/usr/sbin', 60],
  ['/usr/lib/x86_64-linux-gnu', 400],
  ['/usr/lib32', 60],
  ['/usr/libx32', 30],
  ['/usr/lib/x86_64-linux-musl', 5],
  ['/usr/aarch64-linux-gnu/lib', 40],
  ['/usr/riscv64-linux-gnu/lib', 40],
  ['/usr/s390x-linux-gnu/lib', 40],
];

/** Returns files of a directory, evenly spread over their names. */
function some([directory, count]: readonly [string, number]): string[] {
  const all = existsSync(directory) ? readdirSync(directory).sort() : [];
  const files = all.map((name) => path.join(directory, name)).filter(isProgramOrLibrary);
  return files.filter((_, index) => index % Math.ceil(files.length / count) === 0);
}

function isProgramOrLibrary(file: string): boolean {
  if (!statSync(file, { throwIfNoEntry: false })?.isFile()) return false;
  const start = Buffer.alloc(20);
  const fd = openSync(file, 'r');
  readSync(fd, start, 0, 20, 0);
  closeSync(fd);
  const type = start[5] === 2 ? start[17] : start[16];
  return start.toString('latin1', 0, 4) === '\x7fELF' && (type === 2 || type === 3);
}

/** The compared fields, in the same form for both. */
interface Reading {
  readonly class: string;
  readonly order: string;
  readonly type: string;
  readonly flags: number;
  readonly interpreter: string | undefined;
  /** `LOAD offset address size`. */
  readonly segments: readonly string[];
  readonly needed: readonly string[];
  readonly soname: string | undefined;
  readonly rpath: string | undefined;
  readonly runpath: string | undefined;
  readonly filters: readonly string[];
  readonly isProgram: boolean;
  readonly noDefaultDirectories: boolean;
}

function ours(sysroot: Sysroot, file: string): Reading {
  const trace = sysroot.trace(file);
  assert.ok(isTrace(trace));
  const reader = sysroot.open(trace);
  try {
    const { headers, interpreter, dynamic } = parseElf(reader);
    const hex = (number: number) => number.toString(16);
    return {
      class: `ELF${headers.class}`,
      order: headers.byteOrder,
      type: headers.type ?? '',
      flags: headers.flags >>> 0,
      interpreter,
      segments: headers.segments.map(
        ({ type, offset, vaddr, filesz }) =>
          `${type?.toUpperCase()} ${hex(offset)} ${hex(vaddr)} ${hex(filesz)}`,
      ),
      needed: dynamic?.needed ?? [],
      soname: dynamic?.soname,
      rpath: dynamic?.rpath,
      runpath: dynamic?.runpath,
      filters: [...(dynamic?.filters ?? []), ...(dynamic?.auxiliaries ?? [])],
      isProgram: dynamic?.isProgram ?? false,
      noDefaultDirectories: dynamic?.noDefaultDirectories ?? false,
    };
  } finally {
    reader.close();
  }
}

function theirs(text: string): Reading {
  const one = (pattern: RegExp) => pattern.exec(text)?.[1];
  const all = (pattern: RegExp) => [...text.matchAll(pattern)].map(([, name = '']) => name);
  const segments = text.matchAll(
    /^ {2}(LOAD|DYNAMIC|INTERP|NOTE) +0x([0-9a-f]+) 0x([0-9a-f]+) 0x[0-9a-f]+ 0x([0-9a-f]+) /gm,
  );
  const short = (hex = '') => hex.replace(/^0+(?=.)/, '');
  const flags1 = one(/\(FLAGS_1\) +Flags: (.*)$/m)?.split(' ') ?? [];
  return {
    class: one(/^ +Class: +(\S+)/m) ?? '',
    order: /^ +Data: .*little/m.test(text) ? 'little' : 'big',
    type: (one(/^ +Type: +(\S+)/m) ?? '').toLowerCase(),
    flags: Number(one(/^ +Flags: +(0x[0-9a-f]+)/m)),
    interpreter: one(/\[Requesting program interpreter: (.*)\]$/m),
    segments: [...segments].map(
      ([, type, offset, address, size]) =>
        `${type} ${short(offset)} ${short(address)} ${short(size)}`,
    ),
    needed: all(/\(NEEDED\) +Shared library: \[(.*)\]$/gm),
    soname: one(/\(SONAME\) +Library soname: \[(.*)\]$/m),
    rpath: one(/\(RPATH\) +Library rpath: \[(.*)\]$/m),
    runpath: one(/\(RUNPATH\) +Library runpath: \[(.*)\]$/m),
    filters: all(/\((?:FILTER|AUXILIARY)\) +(?:Filter|Auxiliary) library: \[(.*)\]$/gm),
    isProgram: flags1.includes('PIE'),
    noDefaultDirectories: flags1.includes('NODEFLIB'),
  };
}

test('many files are read as readelf reads them', needs('readelf'), () => {
  const files = DIRECTORIES.flatMap(some);
  const { stdout } = exec('readelf', ['-W', '-h', '-l', '-d', ...files]);
  const texts = new Map(
    stdout.split(/^File: /m).map((text) => [text.slice(0, text.indexOf('\n')), text] as const),
  );
  const sysroot = new Sysroot();
  for (const file of files) {
    assert.deepEqual(ours(sysroot, file), theirs(texts.get(file) ?? ''), file);
  }
  assert.ok(files.length >= 300, `${files.length} files`);
});
