import path from 'node:path';
import { JailbuildError } from '../errors.js';
import { chunksOf } from '../fs/regular-file.js';
import { ByteReader } from './byte-reader.js';
import { decompress } from './decompress.js';
import { readTar } from './tar-reader.js';

const MAGIC = '!<arch>\n';
const HEADER = 60;
const HEADER_END = '`\n';
/** Maximum size of a control file or list of checksums, in bytes. */
const MAX_CONTROL = 64 << 20;

/** One of the two archives in a package. */
interface DebMember {
  readonly name: string;
  readonly size: number;
}

/** The control data of a .deb file (deb(5), deb-control(5)). */
export interface DebControl {
  readonly package: string;
  readonly version: string;
  readonly architecture: string;
  /** `same` allows several architectures to be installed side by side. */
  readonly multiArch: string | undefined;
  /** The control file, ending in a line feed. */
  readonly text: string;
  /** Other control files that dpkg keeps, by name: `md5sums` and `conffiles`. */
  readonly kept: ReadonlyMap<string, string>;
}

/** Control files that inventories read and dpkg never executes. */
const KEPT = new Set(['control', 'md5sums', 'conffiles']);

/**
 * Reads a whole .deb file: `debian-binary`, the control archive and the data archive. Neither reads nor runs maintainer
 * scripts.
 *
 * @param onData receives the decompressed data archive
 * @throws JailbuildError IMAGE_INVALID, NOT_READABLE, TOOL_MISSING
 */
export async function readDeb(
  file: string,
  onData: (archive: AsyncIterable<Buffer>, control: DebControl) => Promise<void>,
): Promise<DebControl> {
  const fail = (why: string): never => {
    throw new JailbuildError('IMAGE_INVALID', `${file}: ${why}`, file);
  };
  const reader = new ByteReader(chunksOf(file));
  try {
    const magic = await reader.take(MAGIC.length);
    if (magic.toString('latin1') !== MAGIC) fail('is not a Debian package: not an ar archive');
    let control: DebControl | undefined;
    let hasData = false;
    for (let first = true; ; first = false) {
      const member = await nextMember(reader, fail);
      if (member === undefined) break;
      const end = reader.offset + member.size;
      const content = () => exactly(reader, end, fail);
      if (first) {
        if (member.name !== 'debian-binary' || member.size > 64) fail('is not a Debian package');
        const format = Buffer.concat(await all(content())).toString('latin1');
        if (!/^2\.\d+\n/.test(format))
          fail(`has format ${JSON.stringify(format)}, which is not supported`);
      } else if (/^control\.tar(\.|$)/.test(member.name)) {
        control = await readControl(decompress(content(), `${file}: ${member.name}`), file, fail);
      } else if (/^data\.tar(\.|$)/.test(member.name)) {
        if (control === undefined) return fail('has its data archive before its control archive');
        await onData(decompress(content(), `${file}: ${member.name}`), control);
        hasData = true;
      }
      // Members whose name begins with an underscore are ignored (deb(5)).
      await reader.skip(end - reader.offset);
      if (member.size % 2 === 1) await reader.skip(1);
    }
    if (control === undefined || !hasData) return fail('is truncated');
    return control;
  } finally {
    await reader.close();
  }
}

/** Reads the header of a member (ar(5)). */
async function nextMember(
  reader: ByteReader,
  fail: (why: string) => never,
): Promise<DebMember | undefined> {
  const header = await reader.take(HEADER);
  if (header.length === 0) return undefined;
  const text = header.toString('latin1');
  if (header.length < HEADER) fail('is truncated');
  const size = text.slice(48, 58).trim();
  if (!text.endsWith(HEADER_END) || !/^\d{1,10}$/.test(size)) fail('has a damaged ar header');
  return { name: text.slice(0, 16).trim().replace(/\/$/, ''), size: Number(size) };
}

async function* exactly(
  reader: ByteReader,
  end: number,
  fail: (why: string) => never,
): AsyncGenerator<Buffer> {
  yield* reader.chunks(end - reader.offset);
  if (reader.offset < end) fail('is truncated');
}

async function readControl(
  archive: AsyncIterable<Buffer>,
  file: string,
  fail: (why: string) => never,
): Promise<DebControl> {
  const kept = new Map<string, string>();
  let size = 0;
  for await (const { header, content } of readTar(
    new ByteReader(archive),
    `${file}: control archive`,
  )) {
    const name = path.posix.normalize(header.name);
    size += header.size;
    if (size > MAX_CONTROL) fail(`has a control archive of more than ${MAX_CONTROL} bytes`);
    if (header.type !== 'file' || !KEPT.has(name)) continue;
    kept.set(name, Buffer.concat(await all(content())).toString());
  }
  const text = kept.get('control')?.trimEnd() ?? fail('has no control file');
  kept.delete('control');
  if (/\n\s*\n/.test(text)) fail('has a control file with several paragraphs');
  const field = (name: string): string | undefined =>
    new RegExp(`^${name}:[ \\t]*(\\S.*?)[ \\t]*$`, 'mi').exec(text)?.[1];
  const [name, version, architecture] = ['Package', 'Version', 'Architecture'].map(field);
  if (name === undefined || version === undefined || architecture === undefined) {
    return fail('has a control file without Package, Version or Architecture');
  }
  // Both become file names.
  if (!/^[a-z0-9][a-z0-9+.-]*$/.test(name) || !/^[a-z0-9-]+$/.test(architecture)) {
    fail('has an invalid package or architecture name');
  }
  return {
    package: name,
    version,
    architecture,
    multiArch: field('Multi-Arch'),
    text: `${text}\n`,
    kept,
  };
}

async function all(chunks: AsyncIterable<Buffer>): Promise<Buffer[]> {
  const parts: Buffer[] = [];
  for await (const part of chunks) parts.push(part);
  return parts;
}
