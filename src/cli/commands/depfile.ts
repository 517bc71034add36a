import { lstatSync, statSync } from 'node:fs';
import path from 'node:path';
import { JailbuildError } from '../../errors.js';
import { cacheDirectory } from '../../fs/cache-directory.js';
import { toBytes } from '../../fs/path-bytes.js';
import type { Sysroot } from '../../fs/sysroot.js';
import { debDirectory, debsIn } from '../../image/deb-directory.js';
import { isImageReference, parseImageReference } from '../../image/reference.js';
import { depfile, isTargetName } from '../../manifest/depfile.js';
import type { Entry } from '../../manifest/manifest.js';
import { type PendingFile, prepareFile } from '../manifest-file.js';
import { printable } from '../output/text.js';
import { warn } from '../report-error.js';

/** Trees of the kernel, whose times mean nothing. */
const KERNEL = /^\/(proc|sys|dev)(\/|$)/;

interface DepfileArguments {
  readonly depfile: string | undefined;
  readonly 'depfile-target': string | undefined;
}

/** What was looked at below a root directory. */
export interface Looked {
  /** '' for `/`. */
  readonly root: string;
  readonly found: Iterable<string>;
  readonly absent: Iterable<string>;
  readonly listed: Iterable<string>;
}

/** A dependency file in the making. */
export interface PendingDepfile {
  /** Writes it with these files, and what was looked at. */
  commit(files: Iterable<string>, looked: readonly Looked[]): Promise<void>;
  discard(): Promise<void>;
}

/**
 * Makes sure, before anything else is written, that a dependency file can be written.
 *
 * @param target what it is a rule for, where the command line does not say
 * @param outputs paths that change with each run: directories of these are no prerequisites
 * @throws JailbuildError USAGE, WRITE_FAILED
 */
export async function prepareDepfile(
  args: DepfileArguments,
  target: string | undefined,
  outputs: readonly string[],
): Promise<PendingDepfile | undefined> {
  if (args.depfile === undefined) {
    if (args['depfile-target'] === undefined) return undefined;
    throw new JailbuildError('USAGE', '--depfile-target requires --depfile');
  }
  const name = args['depfile-target'] ?? target;
  if (name === undefined) {
    const why = 'the output is no file: name the target with --depfile-target or a --digest-file';
    throw new JailbuildError('USAGE', `--depfile: ${why}`);
  }
  if (!isTargetName(name)) {
    throw new JailbuildError(
      'USAGE',
      `--depfile-target ${name}: make and ninja cannot read this name: choose another`,
    );
  }
  const file: PendingFile = await prepareFile(args.depfile);
  return {
    async commit(files, looked) {
      const all = new Set(files);
      for (const one of looked) addLooked(all, one);
      const own = [...outputs, args.depfile ?? ''].map((output) => path.resolve(output));
      const kept = [...all].filter((item) => isPrerequisite(item, own));
      const { text, unwritable } = depfile(name, kept);
      for (const item of unwritable) {
        warn(
          `${printable(item)}: make and ninja cannot read this name, and will not notice changes to it`,
        );
      }
      await file.commit(text);
    },
    discard: () => file.discard(),
  };
}

/** What a sysroot was asked for. */
export function lookedAt(sysroot: Sysroot): Looked {
  const { found, surveyed, absent, lists, stamped } = sysroot.lookedAt();
  const files = [...found].flatMap(([name, { type }]) => (type === 'directory' ? [] : [name]));
  const stampedIn = [...stamped].filter((name) => found.get(name)?.type === 'directory');
  return {
    root: sysroot.prefix,
    found: [...files, ...surveyed],
    absent,
    listed: [...lists.keys(), ...stampedIn],
  };
}

/** The sources of entries. */
export function sourcesOf(entries: readonly Entry[], sourceRoot: string): string[] {
  return entries.flatMap(({ type, source }) =>
    source === undefined || type === 'directory' ? [] : [sourceRoot + source],
  );
}

/** The files that an image or packages come from; none of a registry. */
export function filesOfImage(reference: string | undefined): string[] {
  if (reference === undefined) return [];
  const packages = debDirectory(reference);
  // The directory, too: another package in it makes another root.
  if (packages !== undefined) return [packages, ...debsIn(packages)];
  if (!isImageReference(reference)) return [];
  const image = parseImageReference(reference);
  if (image.kind === 'docker') return [];
  return [image.kind === 'oci' ? path.join(image.path, 'index.json') : image.path];
}

function addLooked(all: Set<string>, { root, found, absent, listed }: Looked): void {
  for (const name of found) all.add(root + name);
  for (const name of listed) all.add(root + name);
  // What appears in it later makes its directory newer.
  const directories = new Set<string>();
  for (const name of absent) directories.add(path.dirname(name));
  for (const directory of directories) {
    let at = directory;
    while (at !== '/' && !isDirectory(root + at)) at = path.dirname(at);
    all.add(root + at || '/');
  }
}

function isDirectory(file: string): boolean {
  return statSync(toBytes(file), { throwIfNoEntry: false })?.isDirectory() ?? false;
}

function isPrerequisite(name: string, outputs: readonly string[]): boolean {
  const images = `${cacheDirectory('images')}/`;
  if (KERNEL.test(name) || name.startsWith(images)) return false;
  const stat = lstatSync(toBytes(name), { throwIfNoEntry: false });
  if (stat === undefined) return false;
  if (!stat.isDirectory()) return true;
  // The root directory changes with every mount point, and the outputs' own with every run.
  return name !== '/' && !outputs.some((output) => isWithin(output, name));
}

function isWithin(file: string, directory: string): boolean {
  return file === directory || path.dirname(file) === directory;
}
