import { closeSync, readSync } from 'node:fs';
import { ELF_HEADER, elfPlatform } from '../elf/platform.js';
import { JailbuildError } from '../errors.js';
import { HeldTree } from '../fs/held-tree.js';
import { type Platform, parsePlatform } from '../image/platform.js';
import type { Entry, FileEntry } from '../manifest/manifest.js';
import type { FileTree } from './file-tree.js';

const EXECUTABLE = 0o111;

/**
 * Returns the platform of a tree: that of the requested programs, or without any, of all executable files.
 *
 * @throws JailbuildError PLATFORM_UNKNOWN if there is no ELF program, or if they are of several kinds
 */
export function platformOf({ entries, sourceRoot }: FileTree): Platform {
  const files = entries.filter(isExecutable);
  const requested = files.filter(({ reasons }) => isRequested(entries, reasons));
  const asked = platformsOf(requested, sourceRoot);
  // Scripts have no platform, but their interpreters do.
  const [first, second] = [...(asked.size > 0 ? asked : platformsOf(files, sourceRoot))];
  if (first === undefined) {
    throw unknown('there is no ELF program of a known machine in the image; name one: --platform');
  }
  if (second !== undefined) {
    const each = [first, second].map(([platform, path]) => `${path} is for ${platform}`);
    throw unknown(`${each.join(', ')}; name one: --platform`);
  }
  return parsePlatform(first[0]);
}

/** Machines whose kernels also run programs of another machine. */
const RUNS: Readonly<Record<string, string>> = { amd64: '386', arm64: 'arm' };

/**
 * Refuses a platform that runs none of a tree's programs.
 *
 * @throws JailbuildError PLATFORM_DIFFERS
 */
export function checkPlatform({ entries, sourceRoot }: FileTree, platform: Platform): void {
  const files = entries.filter(isExecutable);
  const requested = files.filter(({ reasons }) => isRequested(entries, reasons));
  const asked = platformsOf(requested, sourceRoot);
  const found = asked.size > 0 ? asked : platformsOf(files, sourceRoot);
  const runs = [...found.keys()].map(parsePlatform).some(({ os, architecture }) => {
    const isFor = [platform.architecture, RUNS[platform.architecture]].includes(architecture);
    return os === platform.os && isFor;
  });
  const [first] = found;
  if (first === undefined || runs) return;
  const [actual, path] = first;
  throw new JailbuildError(
    'PLATFORM_DIFFERS',
    `--platform ${platform.os}/${platform.architecture}: ${path} is for ${actual}`,
    path,
  );
}

/** Returns the platforms of ELF files, each with an example file. */
function platformsOf(files: readonly FileEntry[], sourceRoot: string): Map<string, string> {
  const found = new Map<string, string>();
  const tree = new HeldTree(sourceRoot);
  for (const { path, source, content } of files) {
    const start =
      source === undefined
        ? Buffer.from(content ?? '', 'base64').subarray(0, ELF_HEADER)
        : readStart(tree, source);
    const platform = start === undefined ? undefined : elfPlatform(start);
    if (platform !== undefined && !found.has(platform)) found.set(platform, path);
  }
  return found;
}

function isExecutable(entry: Entry): entry is FileEntry {
  return entry.type === 'file' && (Number.parseInt(entry.mode, 8) & EXECUTABLE) !== 0;
}

/** Named by the user, by its own path or by a link. */
function isRequested(entries: readonly Entry[], reasons: Entry['reasons']): boolean {
  return reasons.some((reason) => {
    if (reason.kind === 'requested') return true;
    if (reason.kind !== 'link-target') return false;
    const link = entries.find(({ path }) => path === reason.of);
    return link !== undefined && isRequested(entries, link.reasons);
  });
}

function readStart(tree: HeldTree, source: string): Buffer | undefined {
  try {
    const fd = tree.open(source);
    try {
      const start = Buffer.alloc(ELF_HEADER);
      return start.subarray(0, readSync(fd, start, 0, ELF_HEADER, 0));
    } finally {
      closeSync(fd);
    }
  } catch {
    // The writer of the archive reports why it cannot be read.
    return undefined;
  }
}

function unknown(message: string): JailbuildError {
  return new JailbuildError('PLATFORM_UNKNOWN', message);
}
