import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { importedSymbols } from '../../src/elf/imports.js';
import { readNotes } from '../../src/elf/notes.js';
import { parseElf } from '../../src/elf/parse.js';
import type { ByteSource } from '../../src/elf/types.js';
import { JailbuildError } from '../../src/errors.js';
import { parseLdSoCache } from '../../src/loader/ld-so-cache.js';
import { resolve } from '../../src/resolve/resolve.js';
import { Random } from './random.js';

/** Limits for heap growth in bytes, and for the CPU time of one case in milliseconds. */
const MAX_GROWTH = 64 << 20;
const MAX_TIME = 1000;

/** Files of both classes and byte orders, programs and libraries, as available on this machine. */
const SEEDS = [
  '/usr/bin/ls',
  '/usr/bin/python3',
  '/lib64/ld-linux-x86-64.so.2',
  '/lib/x86_64-linux-gnu/libc.so.6',
  '/usr/lib32/libc.so.6',
  '/lib/ld-musl-x86_64.so.1',
  '/usr/aarch64-linux-gnu/lib/libc.so.6',
  '/usr/s390x-linux-gnu/lib/libm.so.6',
  '/usr/s390x-linux-gnu/lib/ld64.so.1',
];

export interface FuzzResult {
  readonly cases: number;
  readonly accepted: number;
  /** How often each field was named, by code and field. */
  readonly refused: ReadonlyMap<string, number>;
  /** CPU time of the slowest case in milliseconds. */
  readonly slowest: number;
  /** Bytes: the most that one case read, and the largest heap growth at any sample. */
  readonly mostRead: number;
  readonly growth: number;
  /** Faults: another kind of error, or an exceeded limit. */
  readonly failures: readonly string[];
}

/** A file in memory with changed parts, without copying it. */
class MutatedSource implements ByteSource {
  readonly path = '/fuzzed';
  size: number;
  /** Number of bytes read so far. */
  taken = 0;
  readonly #base: Buffer;
  readonly #patches: { readonly at: number; readonly bytes: Buffer }[] = [];

  constructor(base: Buffer) {
    this.#base = base;
    this.size = base.length;
  }

  patch(at: number, bytes: Buffer): void {
    this.#patches.push({ at, bytes });
  }

  read(offset: number, length: number): Buffer {
    const wanted = Math.max(0, Math.min(length, this.size - offset));
    this.taken += wanted;
    const out = Buffer.from(this.#base.subarray(offset, offset + wanted));
    for (const { at, bytes } of this.#patches) {
      const from = Math.max(at, offset);
      const to = Math.min(at + bytes.length, offset + out.length);
      if (from < to) bytes.copy(out, from - offset, from - at, to - at);
    }
    return out;
  }
}

const HOSTILE = [0, 1, 2, 0x7f, 0xff, 0x7fff, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xffffffff];

interface Seed {
  readonly bytes: Buffer;
  /** Returns the regions worth changing: headers, the dynamic section, its strings, notes. */
  readonly regions: readonly { readonly at: number; readonly size: number }[];
  readonly strings: { readonly at: number; readonly size: number };
}

function seedOf(bytes: Buffer): Seed {
  const source = new MutatedSource(bytes);
  const { headers } = parseElf(source);
  const regions = [
    { at: 0, size: 64 },
    { at: 64, size: 56 * 13 },
  ];
  for (const { type, offset, filesz } of headers.segments) {
    if (type !== 'load' && filesz > 0) regions.push({ at: offset, size: filesz });
  }
  // The symbols and their strings follow the headers.
  const strings = { at: 1024, size: Math.min(bytes.length - 1024, 64 << 10) };
  return { bytes, regions: [...regions, strings], strings };
}

function mutate(random: Random, { bytes, regions, strings }: Seed): MutatedSource {
  const source = new MutatedSource(bytes);
  for (let count = 1 + random.below(4); count > 0; count--) {
    const { at, size } = random.of(regions);
    const where = at + random.below(size);
    const value = Buffer.alloc(8);
    switch (random.below(6)) {
      case 0:
        source.patch(where, Buffer.from([(bytes[where] ?? 0) ^ (1 << random.below(8))]));
        break;
      case 1:
        source.patch(where, Buffer.from([random.below(256)]));
        break;
      case 2: {
        const number = random.of(HOSTILE);
        if (random.below(2) === 0) value.writeUInt32LE(number);
        else value.writeUInt32BE(number);
        source.patch(where & ~3, value.subarray(0, 4));
        break;
      }
      case 3:
        value.writeBigUInt64LE(BigInt(random.of(HOSTILE)) << BigInt(random.below(33)));
        source.patch(where & ~7, value);
        break;
      case 4:
        source.size = random.below(2) === 0 ? random.below(bytes.length) : random.below(4096);
        break;
      default:
        // An unterminated string table.
        source.patch(strings.at, Buffer.alloc(strings.size, 0x41));
    }
  }
  return source;
}

/** Yields mutants of an ELF file. */
export function* mutantsOf(bytes: Buffer, count: number, seed: number): Generator<Buffer> {
  const random = new Random(seed);
  const base = seedOf(bytes);
  for (let made = 0; made < count; made++) {
    const source = mutate(random, base);
    yield source.read(0, source.size);
  }
}

/** Parses a file with every reader of ELF files. */
function readAll(source: MutatedSource): void {
  const { headers } = parseElf(source);
  const attempts = [() => readNotes(source, headers), () => importedSymbols(source, headers)];
  for (const attempt of attempts) {
    try {
      attempt();
    } catch (error) {
      if (!isTyped(error)) throw error;
    }
  }
}

function isTyped(error: unknown): error is JailbuildError {
  return error instanceof JailbuildError && fieldOf(error) !== undefined;
}

/** Accepted errors without a field: not an ELF file, or a problem in another file. */
const WITHOUT_FIELD: ReadonlySet<string> = new Set([
  'NOT_ELF',
  'NOT_A_PROGRAM',
  'INTERPRETER_NOT_FOUND',
  'SCRIPT',
]);

/** Returns the field that an error names, with its code. */
function fieldOf({ code, message }: JailbuildError): string | undefined {
  if (WITHOUT_FIELD.has(code)) return code;
  const field =
    /(?:malformed ELF file|fuzzed|program|libc\.so\.6): ((?:EI|e|PT|SHT|DT)_\w+|header|program headers|dynamic section|section headers|\.[\w.]+)/.exec(
      message,
    )?.[1] ?? /malformed library cache: (\w+ ?\w*)/.exec(message)?.[1];
  return field === undefined ? undefined : `${code} ${field}`;
}

/** Parses mutated ELF files, the same ones for the same seed. */
export function fuzzElf(cases: number, seed: number): FuzzResult {
  const random = new Random(seed);
  const seeds = SEEDS.filter((file) => existsSync(file)).map((file) => seedOf(readFileSync(file)));
  return run(cases, () => {
    const source = mutate(random, random.of(seeds));
    return { parse: () => readAll(source), read: () => source.taken };
  });
}

/** Parses mutated library caches. */
export function fuzzCache(cases: number, seed: number, caches: readonly Buffer[]): FuzzResult {
  const random = new Random(seed);
  return run(cases, () => {
    const copy = Buffer.from(random.of(caches));
    for (let count = 1 + random.below(4); count > 0; count--) {
      // Half of the changes are in the header, or in the extension after the strings.
      const head = random.below(2) === 0 ? 64 : copy.length;
      const at = random.below(3) === 0 ? copy.length - 1 - random.below(160) : random.below(head);
      if (random.below(2) === 0) copy[at] = random.below(256);
      else if (at + 4 <= copy.length) copy.writeUInt32LE(random.of(HOSTILE), at & ~3);
    }
    const cut = random.below(4) === 0 ? copy.subarray(0, random.below(copy.length)) : copy;
    return { parse: () => parseLdSoCache(cut, '/fuzzed'), read: () => cut.length };
  });
}

/**
 * Resolves mutated programs in a root file system, with all the libraries that a process would
 * load.
 */
export function fuzzResolve(cases: number, seed: number, root: string): FuzzResult {
  const random = new Random(seed);
  const program = seedOf(readFileSync('/usr/bin/ls'));
  const library = seedOf(readFileSync('/lib/x86_64-linux-gnu/libdl.so.2'));
  const loader = '/lib64/ld-linux-x86-64.so.2';
  mkdirSync(`${root}/lib64`, { recursive: true });
  mkdirSync(`${root}/lib`, { recursive: true });
  copyFileSync(loader, root + loader);
  return run(cases, () => {
    const asLibrary = random.below(2) === 0;
    const source = mutate(random, asLibrary ? library : program);
    const mutated = source.read(0, source.size);
    writeFileSync(`${root}/program`, asLibrary ? program.bytes : mutated);
    writeFileSync(`${root}/lib/libc.so.6`, asLibrary ? mutated : library.bytes);
    const request = { programs: ['/program'], sysroot: root, terminfo: 'none' } as const;
    return { parse: () => resolve(request), read: () => mutated.length };
  });
}

interface FuzzCase {
  parse(): unknown;
  read(): number;
}

function run(cases: number, next: () => FuzzCase): FuzzResult {
  const refused = new Map<string, number>();
  const failures: string[] = [];
  let accepted = 0;
  let slowest = 0;
  let mostRead = 0;
  let growth = 0;
  const heap = () => {
    const { heapUsed, external } = process.memoryUsage();
    return heapUsed + external;
  };
  globalThis.gc?.();
  const before = heap();
  for (let index = 0; index < cases; index++) {
    const { parse, read } = next();
    // Not the time that passes, which depends on the machine's load.
    const start = process.cpuUsage();
    try {
      parse();
      accepted++;
    } catch (error) {
      if (isTyped(error)) {
        const field = fieldOf(error) ?? '';
        refused.set(field, (refused.get(field) ?? 0) + 1);
      } else {
        const { stack = String(error) } = error instanceof Error ? error : new Error(String(error));
        failures.push(`case ${index}: ${stack}`);
      }
    }
    const { user, system } = process.cpuUsage(start);
    const time = (user + system) / 1000;
    slowest = Math.max(slowest, time);
    mostRead = Math.max(mostRead, read());
    if (time > MAX_TIME) failures.push(`case ${index}: took ${time.toFixed(0)} ms of CPU time`);
    if (read() > MAX_GROWTH) failures.push(`case ${index}: read ${read()} bytes`);
    if (index % 1000 === 999) {
      globalThis.gc?.();
      growth = Math.max(growth, heap() - before);
    }
  }
  growth = Math.max(growth, heap() - before);
  if (growth > MAX_GROWTH) failures.push(`the heap grew by ${growth} bytes`);
  return { cases, accepted, refused, slowest, mostRead, growth, failures };
}
