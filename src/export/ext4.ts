import { createHash, type Hash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { JailbuildError } from '../errors.js';
import { pathBuffer } from '../fs/path-bytes.js';
import type { Entry, FileEntry } from '../manifest/manifest.js';
import { nanoseconds } from '../manifest/timestamp.js';
import type { WorkMeter } from '../manifest/work.js';
import { baseName } from '../text/base-name.js';
import { formatSize } from '../text/format.js';
import { uuidOfHash } from '../text/uuid.js';
import { type DiskRun, type DiskTool, runTool } from './disk-tool.js';
import { storeChunks } from './draft.js';
import { Chunks, type FileTree } from './file-tree.js';

const MKE2FS: DiskTool = { program: 'mke2fs', package: 'e2fsprogs' };
const DEBUGFS: DiskTool = { program: 'debugfs', package: 'e2fsprogs' };
const E2FSCK: DiskTool = { program: 'e2fsck', package: 'e2fsprogs' };

const BLOCK = 4096;
const INODE = 256;
/** The smallest journal (mke2fs(8), `-J size`), in blocks. */
const JOURNAL = 1024;
/** mke2fs makes no journal that takes more than half of the blocks, less what it takes itself. */
const LEAST = JOURNAL + 256;
/** The host's mke2fs.conf would change what is written. */
const CONFIGURATION = `[defaults]
base_features = sparse_super,large_file,filetype,resize_inode,dir_index,ext_attr
default_mntopts = acl,user_xattr
enable_periodic_fsck = 0
blocksize = ${BLOCK}
inode_size = ${INODE}
inode_ratio = 16384
[fs_types]
ext4 = {
  features = has_journal,extent,huge_file,flex_bg,metadata_csum,64bit,dir_nlink,extra_isize
}
floppy = {
  blocksize = ${BLOCK}
}
small = {
  blocksize = ${BLOCK}
}
default = {
  blocksize = ${BLOCK}
}
big = {
  blocksize = ${BLOCK}
}
huge = {
  blocksize = ${BLOCK}
}
`;
/** Extents of 128 MiB fit an inode four times; more take a block of their own (kernel, ext4/ifmap.rst). */
const EXTENT = 128 << 20;
/** Longer targets do not fit the inode. */
const MAX_FAST_LINK = 59;
/** Usable bytes of a directory block, without its checksum (kernel, ext4/directory.rst). */
const DIRECTORY_ROOM = BLOCK - 12;

/**
 * Writes a tree as an ext4 file system: mke2fs makes an empty one, and debugfs, which needs no privileges for
 * owners, devices and attributes, adds the files in the order of their names. (mke2fs would add a directory
 * in the order in which the host's file system lists it.) e2fsck then checks the result.
 *
 * @param file is overwritten
 * @param scratch a directory for what debugfs reads
 * @param time seconds since the epoch, the time of the file system
 * @param size bytes of the file system; without it, a little more than the tree needs
 * @throws JailbuildError TOOL_MISSING, WRITE_FAILED, NOT_EXPORTABLE, and as `tar`
 */
export async function writeExt4(
  tree: FileTree,
  file: string,
  scratch: string,
  time: number,
  size: number | undefined,
  { signal, watch, meter }: DiskRun,
): Promise<void> {
  const hash = createHash('sha256');
  const content = path.join(scratch, 'content');
  const script = new Script(content, hash, meter);
  for (const _ of watch(script.write(tree, time))) signal?.throwIfAborted();
  const uuid = uuidOfHash(hash.digest());
  const { inodes, blocks } = script.needs;
  const enough = Math.ceil((blocks * BLOCK) / 2 ** 20) * 2 ** 20;
  const bytes = size ?? enough;
  const small = () =>
    new JailbuildError(
      'NOT_EXPORTABLE',
      `ext4: the tree does not fit ${formatSize(bytes)}: give ${formatSize(enough)} or more, or no size`,
    );
  if (bytes < 2 * JOURNAL * BLOCK) throw small();
  const config = path.join(scratch, 'mke2fs.conf');
  writeFileSync(config, CONFIGURATION);
  // Zero means the current time.
  const env = { E2FSPROGS_FAKE_TIME: String(Math.max(1, time)), MKE2FS_CONFIG: config };
  const extended = ['lazy_itable_init=0', 'lazy_journal_init=0', 'nodiscard', 'root_owner=0:0'];
  const make = [
    ...['-q', '-F', '-t', 'ext4', '-b', String(BLOCK), '-m', '0', '-U', uuid],
    ...['-N', String(Math.max(inodes, Math.floor(bytes / 16384))), '-J', 'size=4'],
    ...['-E', [`hash_seed=${uuid}`, ...extended].join(',')],
    ...[file, `${Math.floor(bytes / 1024)}k`],
  ];
  await runTool(MKE2FS, make, { env, signal });
  const commands = path.join(scratch, 'commands');
  writeFileSync(commands, script.commands());
  const { stderr } = await runTool(DEBUGFS, ['-w', '-f', commands, file], { env, signal });
  // debugfs ends with status 0 even after errors.
  const problem = stderr.split('\n').filter((line) => line !== '' && !/^debugfs \d/.test(line))[0];
  if (problem !== undefined) {
    if (size !== undefined && /allocate|no space/i.test(problem)) throw small();
    throw new JailbuildError('WRITE_FAILED', `debugfs: ${problem}`);
  }
  await runTool(E2FSCK, ['-f', '-n', file], { signal });
}

/** The commands of debugfs(8) that make a tree, and the files that they read. */
class Script {
  readonly #content: string;
  readonly #hash: Hash;
  readonly #meter: WorkMeter;
  readonly #made: Buffer[] = [];
  readonly #set: Buffer[] = [];
  #files = 0;
  #blocks = 0;
  #inodes = 0;

  constructor(content: string, hash: Hash, meter: WorkMeter) {
    this.#content = content;
    this.#hash = hash;
    this.#meter = meter;
    mkdirSync(content, { mode: 0o700 });
  }

  /** What is made first: directories and files, then their attributes, which making them would change. */
  commands(): Buffer {
    return Buffer.concat([...this.#made, ...this.#set]);
  }

  /** Inodes, and blocks with what the file system itself takes. */
  get needs(): { readonly inodes: number; readonly blocks: number } {
    const inodes = this.#inodes + 32;
    const used = this.#blocks + Math.ceil((inodes * INODE) / BLOCK) + JOURNAL;
    return { inodes, blocks: Math.max(Math.ceil(used * 1.05) + 256, used - this.#blocks + LEAST) };
  }

  /**
   * Reads the tree, and yields its content.
   *
   * @param time seconds since the epoch, of the root directory
   */
  *write({ entries, ...content }: FileTree, time: number): Generator<Buffer> {
    const byParent = new Map<string, Entry[]>([['/', []]]);
    for (const entry of entries) {
      const parent = entry.path.slice(0, entry.path.lastIndexOf('/')) || '/';
      const siblings = byParent.get(parent);
      if (siblings === undefined) byParent.set(parent, [entry]);
      else siblings.push(entry);
    }
    const links = new Map<string, number>();
    for (const entry of entries) {
      if (entry.type !== 'file') continue;
      const first = entry.hardlink ?? entry.path;
      links.set(first, (links.get(first) ?? 0) + 1);
    }
    const root = { mode: '0755', uid: 0, gid: 0, mtime: BigInt(time) * 1_000_000_000n };
    this.#attributes('/', 0o040000, root);
    this.#attributes('/lost+found', 0o040000, { ...root, mode: '0700' });
    // Content precedes hard links to it, whatever their directories.
    const rooms = new Map<string, DirectoryRoom>();
    for (const isLinking of [false, true]) {
      for (const [parent, siblings] of byParent) {
        const some = siblings.filter((entry) => isHardLink(entry) === isLinking);
        if (some.length === 0) continue;
        this.#make('cd', parent);
        const room = rooms.get(parent) ?? new DirectoryRoom(parent === '/');
        rooms.set(parent, room);
        for (const entry of some) {
          const grows = room.add(pathBuffer(nameOf(entry)).length);
          // Unlike the others, `ln` does not make room.
          if (isLinking && grows) this.#make('expand_dir', parent);
          yield* this.#entry(entry, content, links.get(entry.path) ?? 1);
        }
      }
    }
    for (const { type } of entries) if (type === 'directory') this.#blocks++;
    for (const { blocks } of rooms.values()) this.#blocks += blocks;
  }

  *#entry(entry: Entry, content: Omit<FileTree, 'entries'>, links: number): Generator<Buffer> {
    const name = nameOf(entry);
    this.#hash.update(JSON.stringify({ ...entry, source: undefined, reasons: undefined }));
    const { path: at, mode, uid, gid, mtime } = entry;
    const owned = { mode, uid, gid, mtime: nanoseconds(mtime) };
    switch (entry.type) {
      case 'directory':
        // Every ext4 file system has this one.
        if (at !== '/lost+found') this.#make('mkdir', name);
        this.#attributes(at, 0o040000, owned);
        break;
      case 'symlink':
        this.#make('symlink', name, entry.target);
        this.#attributes(at, 0o120000, { ...owned, mode: '0777' });
        if (pathBuffer(entry.target).length > MAX_FAST_LINK) this.#blocks++;
        break;
      case 'fifo':
        this.#make('mknod', name, 'p');
        this.#attributes(at, 0o010000, owned);
        break;
      case 'character-device':
      case 'block-device': {
        const isBlock = entry.type === 'block-device';
        this.#make('mknod', name, isBlock ? 'b' : 'c', String(entry.major), String(entry.minor));
        this.#attributes(at, isBlock ? 0o060000 : 0o020000, owned);
        break;
      }
      case 'file':
        if (entry.hardlink !== undefined) {
          this.#make('ln', entry.hardlink, name);
          return;
        }
        yield* this.#file(entry, name, content);
        this.#attributes(at, 0o100000, owned);
        if (links > 1) this.#field(at, 'links_count', String(links));
        this.#blocks += Math.ceil(entry.size / BLOCK) + Math.ceil(entry.size / EXTENT);
    }
    this.#inodes++;
    for (const [attribute, value] of Object.entries(entry.xattrs ?? {}).sort()) {
      const file = this.#nextFile();
      writeFileSync(file, Buffer.from(value, 'base64'));
      this.#setCommand('ea_set', '-f', file, at, attribute);
    }
    if (entry.xattrs !== undefined) this.#blocks++;
  }

  *#file(entry: FileEntry, name: string, content: Omit<FileTree, 'entries'>): Generator<Buffer> {
    const file = this.#nextFile();
    const chunks = new Chunks(content, this.#meter);
    const all = function* () {
      yield* chunks.content(entry);
      yield* chunks.end();
    };
    for (const chunk of storeChunks(all(), file)) {
      this.#hash.update(chunk);
      yield chunk;
    }
    this.#make('write', file, name);
  }

  #nextFile(): string {
    return path.join(this.#content, String(this.#files++));
  }

  #attributes(
    at: string,
    type: number,
    { mode, uid, gid, mtime }: Pick<Entry, 'mode' | 'uid' | 'gid'> & { readonly mtime: bigint },
  ): void {
    this.#field(at, 'mode', `0${(type | Number.parseInt(mode, 8)).toString(8)}`);
    if (uid !== 0) this.#field(at, 'uid', String(uid));
    if (gid !== 0) this.#field(at, 'gid', String(gid));
    const { seconds, extra } = ext4Time(mtime, at);
    for (const field of ['atime', 'ctime', 'mtime', 'crtime']) {
      this.#field(at, field, `@${seconds}`);
      this.#field(at, `${field}_extra`, String(extra));
    }
  }

  #field(at: string, field: string, value: string): void {
    this.#setCommand('set_inode_field', at, field, value);
  }

  #setCommand(...words: readonly string[]): void {
    this.#set.push(commandLine(words));
  }

  #make(...words: readonly string[]): void {
    this.#made.push(commandLine(words));
  }
}

function nameOf({ path: at }: Entry): string {
  return baseName(at);
}

function isHardLink(entry: Entry): boolean {
  return entry.type === 'file' && entry.hardlink !== undefined;
}

/**
 * Seconds in 32 bits, and in 34 more nanoseconds and two bits of the seconds (kernel, ext4/inodes.rst,
 * "Inode Timestamps").
 */
function ext4Time(ns: bigint, at: string): { readonly seconds: number; readonly extra: number } {
  const fraction = ((ns % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n;
  const seconds = (ns - fraction) / 1_000_000_000n;
  const epoch = (seconds + 0x80000000n) >> 32n;
  if (epoch < 0n || epoch > 3n) {
    throw new JailbuildError(
      'NOT_EXPORTABLE',
      `${at}: its time is out of the range of ext4, 1901 to 2446: touch it, or set SOURCE_DATE_EPOCH`,
      at,
    );
  }
  return {
    seconds: Number(BigInt.asUintN(32, seconds)),
    extra: Number((fraction << 2n) | epoch),
  };
}

/** A command with words in quotes, which are doubled inside of them (ss of e2fsprogs, parse.c). */
function commandLine(words: readonly string[]): Buffer {
  const quoted = words.map((word) => {
    if (!word.includes('\n'))
      return /^[\w@./+-]+$/.test(word) ? word : `"${word.replaceAll('"', '""')}"`;
    throw new JailbuildError(
      'NOT_EXPORTABLE',
      `${word}: has a line feed in its name, which debugfs cannot read: leave it out, or export in another form`,
      word,
    );
  });
  return pathBuffer(`${quoted.join(' ')}\n`);
}

/** The blocks of a directory, to which libext2fs adds entries: each to the first block with room. */
class DirectoryRoom {
  readonly #used: number[];

  constructor(isRoot: boolean) {
    // `.` and `..`, and in the root lost+found.
    this.#used = [isRoot ? 24 + 20 : 24];
  }

  get blocks(): number {
    return this.#used.length;
  }

  /** @returns whether the entry went into a new block */
  add(nameLength: number): boolean {
    const length = 8 + Math.ceil(nameLength / 4) * 4;
    const place = this.#used.findIndex((used) => used + length <= DIRECTORY_ROOM);
    if (place >= 0) {
      this.#used[place] = (this.#used[place] ?? 0) + length;
      return false;
    }
    this.#used.push(length);
    return true;
  }
}
