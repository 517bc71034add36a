import { pathBuffer } from '../fs/path-bytes.js';
import { type RecordedAttributes, recordedAttributes } from '../fs/recorded-attributes.js';
import { Sysroot } from '../fs/sysroot.js';
import type { ImageRoot } from '../image/image-root.js';
import { octal } from '../manifest/differences.js';
import type { Entry } from '../manifest/manifest.js';
import { timestamp } from '../manifest/timestamp.js';
import type { SourceTree } from './source.js';

/**
 * Returns everything that an unpacked image contains, with the owners, modes and capabilities of its
 * layers. Its files have no reasons, and are owned by the packages of the image.
 *
 * @throws JailbuildError NOT_READABLE
 */
export function wholeImage({ image, root }: ImageRoot): SourceTree {
  const sysroot = new Sysroot(root);
  const { config } = image;
  const command = [...(config.Entrypoint ?? []), ...(config.Cmd ?? [])];
  return {
    tree: { entries: entriesOf(sysroot), sourceRoot: sysroot.prefix },
    warnings: [],
    sysroot,
    originOf: ({ path }) => path,
    environment: {},
    ...(command.length === 0 ? {} : { command }),
  };
}

function entriesOf(sysroot: Sysroot): Entry[] {
  const recorded = [...(recordedAttributes(sysroot.prefix) ?? [])].filter(([path]) => path !== '/');
  recorded.sort(([one], [other]) => Buffer.compare(pathBuffer(one), pathBuffer(other)));
  const firstNames = new Map<string, string>();
  return recorded.flatMap(([path, attributes]) => {
    const entry = entryOf(sysroot, path, attributes);
    if (entry?.type !== 'file') return entry ?? [];
    const { identity } = sysroot.statOf(path);
    const hardlink = firstNames.get(identity);
    if (hardlink !== undefined) return { ...entry, hardlink };
    firstNames.set(identity, path);
    return entry;
  });
}

function entryOf(sysroot: Sysroot, path: string, recorded: RecordedAttributes): Entry | undefined {
  const { type, mode, uid, gid, major = 0, minor = 0, xattrs } = recorded;
  const { size, mtimeNs } = sysroot.statOf(path);
  const base = {
    path,
    mode: octal(mode),
    uid,
    gid,
    mtime: timestamp(mtimeNs),
    source: path,
    reasons: [],
    ...(xattrs === undefined ? {} : { xattrs }),
  };
  switch (type) {
    case 'file':
      return { type, ...base, size };
    case 'symlink':
      return { type, ...base, target: sysroot.readlink(path) };
    case 'character-device':
    case 'block-device':
      return { type, ...base, major, minor };
    case 'directory':
    case 'fifo':
      return { type, ...base };
    case 'socket':
      return undefined;
  }
}
