import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { namesInStrings } from '../../src/elf/names-in-strings.js';
import { parseElf } from '../../src/elf/parse.js';
import { dataStrings } from '../../src/elf/path-strings.js';
import type { ElfHeaders } from '../../src/elf/types.js';
import { isTrace, Sysroot } from '../../src/fs/sysroot.js';
import { succeed } from '../support/cli.js';
import { KINDS, MemorySource, makeElf } from '../support/make-elf.js';
import { needs } from '../support/need.js';
import { tempDir } from '../support/temp-dir.js';

const LIMIT = 64 << 20;

function headersOf(size: number): ElfHeaders {
  const load = { type: 'load', offset: 0, vaddr: 0, filesz: size, memsz: size };
  return {
    class: 64,
    byteOrder: 'little',
    machine: 62,
    flags: 0,
    type: 'dyn',
    segments: [{ ...load, isExecutable: false }],
  };
}

/** Reference implementation: splits the text into its strings. */
function plainly(text: string): (name: string) => boolean {
  const words = text.split('\0').flatMap((string) => {
    const [word = ''] = string.length > 512 ? [] : string.split(' ', 1);
    return /^[a-z][a-z0-9][A-Za-z0-9._+-]{0,30}$/.test(word) ? [word] : [];
  });
  return (name) => {
    if (words.includes(name)) return true;
    const end = `${name}\0`;
    for (let at = text.indexOf(end); at >= 0; at = text.indexOf(end, at + 1)) {
      const string = text.slice(text.lastIndexOf('\0', at - 1) + 1, at);
      if (/(^|[^\w/.-])[A-Za-z]+,? [A-Za-z]+,? $/.test(string)) continue;
      if (at === 0 || /[^\w.+-]$|%[a-z]$/.test(text.slice(Math.max(0, at - 2), at))) return true;
    }
    return false;
  };
}

for (const { title, text, has, lacks } of [
  {
    title: 'finds whole strings and first words of commands',
    text: '\0xz\0gzip -d\0use less\0sh -c sort\0/bin/sh -c tac\0',
    has: ['xz', 'gzip', 'use', 'less', 'sort', 'tac'],
    lacks: ['zip', 'gzi'],
  },
  {
    title: 'does not take the first or last word of a sentence for a name',
    text: '\0use less or more\0%d exceeded, initiating graceful shutdown\0sort of\0kill is\0tac error.\0tr fortune\0',
    has: ['use', 'tr'],
    lacks: ['less', 'or', 'more', 'shutdown', 'sort', 'kill', 'tac'],
  },
  {
    title: 'finds ends of strings after other characters and conversions',
    text: '\0/usr/lib/gnupg/gpg-agent\0%slib%sjvm.cfg\0notgrep\0',
    has: ['gpg-agent', 'jvm.cfg'],
    lacks: ['agent', 'grep', 'lib'],
  },
  {
    title: 'finds the program of an option of the same name',
    text: '\0--sort-daemon\0with --other\0x--tail\0-cut\0---wc\0',
    has: ['sort-daemon'],
    lacks: ['tail', 'cut', 'wc', 'daemon'],
  },
  {
    title: 'finds the command that replaces the shell',
    text: '\0exec cc-12 -g %s\0may exec tail -f\0exec kill is\0exec',
    // More names than are searched for without an index.
    has: Array.from({ length: 30 }, () => 'cc-12'),
    lacks: ['tail', 'kill'],
  },
  {
    title: 'ignores long texts that begin with the name, and words in upper case before a space',
    text: `\0tar ${'x'.repeat(600)}\0Zip it\0[\0`,
    has: ['['],
    lacks: ['tar', 'Zip'],
  },
]) {
  test(`names in a program: ${title}`, () => {
    const bytes = Buffer.from(text, 'latin1');
    const isNamed = namesInStrings(new MemorySource(bytes), headersOf(bytes.length), LIMIT);
    for (const name of has) assert.ok(isNamed(name), name);
    for (const name of lacks) assert.ok(!isNamed(name), name);
  });
}

test('finds the same names in random strings as the reference implementation', () => {
  const characters = 'ab%x/. \0\0Z';
  let seed = 1;
  const random = (below: number) => {
    seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff;
    return (seed >> 8) % below;
  };
  const some = (count: number) =>
    Array.from({ length: count }, () => characters[random(characters.length)]).join('');
  for (let round = 0; round < 300; round++) {
    const text = `\0${some(80)}\0`;
    const bytes = Buffer.from(text, 'latin1');
    const isNamed = namesInStrings(new MemorySource(bytes), headersOf(bytes.length), LIMIT);
    const isIndexed = namesInStrings(new MemorySource(bytes), headersOf(bytes.length), LIMIT);
    // Few names are searched for without the index.
    for (let other = 0; other < 30; other++) isIndexed(`other${other}`);
    const expected = plainly(text);
    for (const name of ['a', 'ab', 'ba', 'b.', 'abx', 'x', 'xa', 'a.b', 'aZ']) {
      assert.equal(isNamed(name), expected(name), JSON.stringify({ text, name }));
      assert.equal(
        isIndexed(name),
        expected(name),
        JSON.stringify({ text, name, isIndexed: true }),
      );
    }
  }
});

test('finds names in a program of the host', needs('bash'), () => {
  const root = new Sysroot('/');
  const found = root.trace('/usr/bin/bash');
  assert.ok(isTrace(found));
  const file = root.open(found);
  try {
    const isNamed = namesInStrings(file, parseElf(file).headers, LIMIT);
    assert.ok(isNamed('bash'));
    assert.ok(!isNamed('gcc-12'));
  } finally {
    file.close();
  }
});

test('names of symbols and libraries are not data', () => {
  const [needed, runPath] = [1, 29];
  for (const kind of KINDS) {
    const data = Buffer.from(
      '/usr/share/first\0gzip\0/usr/share/data\0sort -u\0.:/usr/share/user:/usr/share/others\0exec comm -z\0may exec diff -u\0../lib/own\0../other\0x../lib/x\0',
    );
    const { bytes } = makeElf({
      ...kind,
      dynamic: [
        [needed, 'kill'],
        [runPath, '/usr/lib/path'],
        [needed, 'tail -f'],
      ],
      tables: [{ tag: 0x6000_0001, bytes: data }],
    });
    const file = new MemorySource(bytes);
    const { headers } = parseElf(file);
    const isNamed = namesInStrings(file, headers, LIMIT);
    assert.deepEqual(['gzip', 'kill', 'tail'].map(isNamed), [true, false, false]);
    const { paths, commands } = dataStrings(file, headers, LIMIT);
    assert.deepEqual([...paths].sort(), ['../lib/own', '/usr/share/data', '/usr/share/first']);
    assert.deepEqual(commands, ['sort', 'comm']);
  }
});

test('finds the members of lists of paths, and those of one name in several directories', () => {
  const text =
    '/usr/local/p/rgb.txt:/usr/share/p/rgb.txt\0/usr/share/a,/usr/share/b;/etc/c\0' +
    '/usr/lib/im-6//modules/coders\0/usr/share/d,e\0/usr/share/one\0/etc/f:rest/f\0';
  const bytes = Buffer.from(text, 'latin1');
  const { paths, searched } = dataStrings(new MemorySource(bytes), headersOf(bytes.length), LIMIT);
  const lists = ['/usr/local/p/rgb.txt', '/usr/share/p/rgb.txt'];
  const others = ['/usr/share/a', '/usr/share/b', '/etc/c', '/usr/share/d,e', '/usr/share/one'];
  const expected = [...lists, ...others, '/usr/lib/im-6/modules/coders', '/etc/f'];
  assert.deepEqual([...paths].sort(), expected.sort());
  assert.deepEqual(searched, lists);
});

test('code that shares a segment with data counts nothing against the limit', needs('gcc'), () => {
  const file = path.join(tempDir(), 'large');
  const source = `.globl _start
_start: ret
.fill 0x500000, 1, 0x90
.section .rodata
.string "/usr/share/behind/code"
`;
  // -N makes one segment of everything, as gold does.
  const options = ['-x', 'assembler', '-', '-nostdlib', '-static', '-Wl,-N', '-o', file];
  succeed('gcc', options, { input: source });
  const pathsIn = (bytes: Buffer) => {
    const elf = new MemorySource(bytes);
    const { headers } = parseElf(elf);
    const segments = headers.segments.map((segment) =>
      segment.type === 'load' ? { ...segment, offset: 0, filesz: bytes.length } : segment,
    );
    return dataStrings(elf, { ...headers, segments }, 4 << 20).paths;
  };
  const bytes = readFileSync(file);
  assert.deepEqual(pathsIn(bytes), ['/usr/share/behind/code']);
  // Section headers may be missing or damaged: then the limit includes the code.
  const damaged = Buffer.from(bytes);
  damaged.writeBigUInt64LE(BigInt(bytes.length), 40);
  assert.deepEqual(pathsIn(damaged), []);
  const stripped = Buffer.from(bytes);
  stripped.writeBigUInt64LE(0n, 40);
  assert.deepEqual(pathsIn(stripped), []);
});

test('finds the same names among many as among few', needs('bash'), () => {
  const root = new Sysroot('/');
  const found = root.trace('/usr/bin/bash');
  assert.ok(isTrace(found));
  const file = root.open(found);
  try {
    const { headers } = parseElf(file);
    const many = namesInStrings(file, headers, LIMIT);
    const names = root.names('/usr/bin');
    assert.ok(names.length > 200);
    const some = names.filter(many);
    assert.ok(some.includes('bash'));
    // Each of these is asked for only a few names.
    for (let at = 0; at < names.length; at += 100) {
      const few = namesInStrings(file, headers, LIMIT);
      const part = names.slice(at, at + 100);
      assert.deepEqual(
        part.filter(few),
        part.filter((name) => some.includes(name)),
      );
    }
  } finally {
    file.close();
  }
});

test('paths of installed files within strings are data, parts of other paths are not', () => {
  const text = [
    'Cookie:/usr/lib/pike/master.pike',
    'open /etc/tool.conf, please.',
    'data=/usr/share/tool/%s/x',
    '%s/usr/share/other',
    'x/usr/share/other',
    'http://host/etc/other',
    'see /home/me/file',
  ];
  const data = Buffer.from(`R@/etc/papersize\0${text.join('\0')}\0`);
  const found = dataStrings(new MemorySource(data), headersOf(data.length), LIMIT).paths;
  assert.deepEqual([...found].sort(), [
    '/etc/papersize',
    '/etc/tool.conf',
    '/usr/lib/pike/master.pike',
    '/usr/share/tool',
  ]);
});
