import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import type { FileTree } from '../../src/export/file-tree.js';
import type { Entry } from '../../src/manifest/manifest.js';

/** Bytes that are not text in any encoding, including the separators of pax records. */
export const BINARY = Buffer.from([0x00, 0xff, 0x0a, 0x3d, 0x80, 0x20, 0x31, 0x00, 0xc3]);
/** cap_net_raw=ep, version 2 (linux/capability.h). */
export const CAPABILITY = Buffer.from('0100000200200000000000000000000000000000', 'hex');

export const LONG_NAME = 'n'.repeat(180);
export const DEEP = `/deep/${`${'d'.repeat(60)}/`.repeat(4)}end`;

type Made = Partial<Entry> & Pick<Entry, 'path' | 'type'>;

/** Creates a tree with everything an archive must store, and its content in a directory. */
export function richTree(directory: string): FileTree {
  mkdirSync(directory, { recursive: true });
  writeFileSync(path.join(directory, 'program'), Buffer.alloc(2_500_000, 'content '));
  const parents = DEEP.split('/')
    .slice(1, -1)
    .map((_, index, names) => `/${names.slice(0, index + 1).join('/')}`);
  const made: readonly Made[] = [
    { path: '/program', type: 'file', mode: '4755', source: '/program', size: 2_500_000 },
    { path: '/program-link', type: 'file', mode: '4755', hardlink: '/program', size: 2_500_000 },
    { path: '/program-more', type: 'file', mode: '4755', hardlink: '/program', size: 2_500_000 },
    text('/ping', 'ping\n', {
      xattrs: {
        'user.binary': BINARY.toString('base64'),
        'security.capability': CAPABILITY.toString('base64'),
        'security.selinux': Buffer.from('host label').toString('base64'),
      },
    }),
    { path: '/empty', type: 'directory', mode: '1777' },
    { path: '/null', type: 'character-device', mode: '0666', major: 1, minor: 3 },
    { path: '/loop', type: 'block-device', mode: '0660', gid: 6, major: 7, minor: 300 },
    { path: '/pipe', type: 'fifo', mode: '0600' },
    { path: '/link', type: 'symlink', mode: '0777', target: 'program' },
    { path: '/long-link', type: 'symlink', mode: '0777', target: `${LONG_NAME}/../program` },
    text(`/${LONG_NAME}`, 'long name\n'),
    text('/ünïcode', 'unicode\n'),
    text('/far-owner', 'far\n', { uid: 3_000_000, gid: 4_000_000 }),
    text('/precise', 'precise\n', { mtime: '1234567890.123456789' }),
    ...parents.map((at): Made => ({ path: at, type: 'directory', mode: '0750' })),
    text(DEEP, 'deep\n'),
  ];
  const common = { mode: '0644', uid: 0, gid: 0, mtime: '1600000000.000000000', reasons: [] };
  const entries = made
    .map((entry) => ({ ...common, ...entry }) as Entry)
    .sort((a, b) => (a.path < b.path ? -1 : 1));
  return { entries, sourceRoot: directory };
}

function text(at: string, content: string, more: Partial<Entry> = {}): Made {
  return {
    path: at,
    type: 'file',
    size: content.length,
    content: Buffer.from(content).toString('base64'),
    ...more,
  } as Made;
}

/** Returns everything of a tree on the disk that an archive must keep, by path. */
export function describeTree(root: string): Record<string, string> {
  const found: Record<string, string> = {};
  const inodes = new Map<bigint, string>();
  const visit = (inside: string): void => {
    for (const name of readdirSync(root + inside).sort()) {
      const at = `${inside}/${name}`;
      const stat = lstatSync(root + at, { bigint: true });
      const parts = [stat.mode.toString(8), `${stat.uid}:${stat.gid}`, String(stat.mtimeNs)];
      if (stat.isSymbolicLink()) parts.push(`-> ${readlinkSync(root + at)}`);
      if (stat.isCharacterDevice() || stat.isBlockDevice()) parts.push(`device ${stat.rdev}`);
      if (stat.isFile()) {
        parts.push(
          createHash('sha256')
            .update(readFileSync(root + at))
            .digest('hex'),
        );
        if (stat.nlink > 1n) {
          const first = inodes.get(stat.ino) ?? at;
          inodes.set(stat.ino, first);
          parts.push(`same as ${first}`);
        }
      }
      found[at] = parts.join(' ');
      if (stat.isDirectory()) visit(at);
    }
  };
  visit('');
  return found;
}

/** Returns the value of an extended attribute in hexadecimal. */
export function xattr(file: string, name: string): string {
  const args = ['--only-values', '--absolute-names', '-n', name, file];
  return execFileSync('getfattr', args, { stdio: 'pipe' }).toString('hex');
}

export function sha256(file: string): string {
  return createHash('sha256').update(readFileSync(file)).digest('hex');
}
