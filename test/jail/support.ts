import { lstatSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { TestContext } from 'node:test';
import { listNames, readLink, toBytes } from '../../src/fs/path-bytes.js';
import type { Entry, Manifest } from '../../src/manifest/manifest.js';
import { MANIFEST_SCHEMA } from '../../src/manifest/manifest.js';
import { timestamp } from '../../src/manifest/timestamp.js';

/** Creates a directory for the test, removed when it ends. */
export function scratch(t: TestContext): string {
  const directory = mkdtempSync(path.join(tmpdir(), 'jailbuild-test-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** Returns a manifest of everything below a directory, as if it were the root of a host. */
export function manifestOf(root: string): Manifest {
  const entries: Entry[] = [];
  const identities = new Map<string, string>();
  const walk = (inside: string) => {
    for (const name of listNames(root + inside).sort()) {
      const at = `${inside}/${name}`;
      const stat = lstatSync(toBytes(root + at), { bigint: true });
      const base = {
        path: at,
        mode: Number(stat.mode & 0o7777n)
          .toString(8)
          .padStart(4, '0'),
        uid: Number(stat.uid),
        gid: Number(stat.gid),
        mtime: timestamp(stat.mtimeNs),
        source: at,
        reasons: [{ kind: 'requested', as: at }] as const,
      };
      if (stat.isDirectory()) {
        entries.push({ type: 'directory', ...base, reasons: [{ kind: 'parent' }] });
        walk(at);
      } else if (stat.isSymbolicLink()) {
        entries.push({ type: 'symlink', ...base, target: readLink(root + at) });
      } else if (stat.isFile()) {
        identities.set(at, `${stat.dev}:${stat.ino}`);
        entries.push({ type: 'file', ...base, size: Number(stat.size) });
      } else if (stat.isFIFO()) {
        entries.push({ type: 'fifo', ...base });
      } else if (stat.isCharacterDevice() || stat.isBlockDevice()) {
        // makedev(3) for numbers below 256.
        const device = { major: Number(stat.rdev >> 8n), minor: Number(stat.rdev & 0xffn) };
        const type = stat.isBlockDevice() ? 'block-device' : 'character-device';
        entries.push({ type, ...base, ...device });
      }
    }
  };
  walk('');
  entries.sort((a, b) => (a.path < b.path ? -1 : 1));
  const firsts = new Map<string, string>();
  const linked = entries.map((entry): Entry => {
    const identity = identities.get(entry.path);
    if (entry.type !== 'file' || identity === undefined) return entry;
    const first = firsts.get(identity);
    firsts.set(identity, first ?? entry.path);
    return first === undefined ? entry : { ...entry, hardlink: first };
  });
  return {
    schema: MANIFEST_SCHEMA,
    request: { programs: [], terminfo: 'none', ldCache: 'none' },
    entries: linked,
    missing: [],
    warnings: [],
  };
}

/** Returns everything below a directory, one line per entry: type, mode, owner, time, content. */
export function snapshot(root: string): string[] {
  const lines: string[] = [];
  const walk = (inside: string) => {
    for (const name of readdirSync(root + inside).sort()) {
      const at = `${inside}/${name}`;
      const stat = lstatSync(root + at, { bigint: true });
      const owner = `${stat.uid}:${stat.gid}`;
      const mode = stat.mode.toString(8);
      if (stat.isDirectory()) {
        lines.push(`${at}/ ${mode} ${owner}`);
        walk(at);
      } else if (stat.isSymbolicLink()) {
        lines.push(`${at} -> ${readlinkSync(root + at)} ${owner}`);
      } else {
        const content = readFileSync(root + at)
          .toString('base64')
          .slice(0, 64);
        lines.push(`${at} ${mode} ${owner} ${stat.mtimeNs} ${stat.ino} ${stat.size} ${content}`);
      }
    }
  };
  walk('');
  return lines;
}
