import { existsSync, statSync } from 'node:fs';
import path from 'node:path';
import { JailbuildError } from '../../errors.js';
import type { SourceTree } from '../../export/source.js';
import { toBytes } from '../../fs/path-bytes.js';
import { isImageReference } from '../../image/reference.js';
import type { ExportArguments } from '../options/export.js';
import { registryOptionsOf } from '../options/registry.js';
import { findSource, RESOLVE_OPTIONS } from './export-source.js';

/** Error codes for a word that was taken as a program but is not one. */
const NO_PROGRAM: readonly string[] = ['PROGRAM_NOT_FOUND', 'NOT_A_PROGRAM'];

/**
 * Reads the sources that the operands of a command name: an image by its transport, a manifest (`.json`) or a jail
 * file (`.yaml`, `.yml`) by the ending of a lone word, otherwise a directory or programs, as `export`
 * does. Libraries that are missing are part of the result.
 *
 * @param args options that determine how programs are resolved, and which platform of an image is read
 * @throws JailbuildError USAGE naming what was tried, and what reading each kind throws
 */
export async function readOperand(
  words: readonly string[],
  args: Partial<ExportArguments>,
): Promise<SourceTree> {
  const image = words.find(isImageReference);
  if (image !== undefined && words.length > 1) {
    throw new JailbuildError(
      'USAGE',
      `${image}: an image cannot be combined with other operands: name it alone`,
    );
  }
  if (image !== undefined) return readImage(image, args);
  const [word = ''] = words;
  const isLone = words.length === 1;
  if (isLone && isLayout(word)) {
    throw new JailbuildError('USAGE', `${word}: is an OCI image layout: write oci:${word}`);
  }
  const isFile = isLone && /\.(?:json|ya?ml)$/.test(word);
  const named = isFile ? { from: word, what: undefined } : { from: undefined, what: [...words] };
  try {
    return await findSource({ ...args, ...named } as ExportArguments, 'view').read();
  } catch (error) {
    if (!isLone || isFile || !(error instanceof JailbuildError)) throw error;
    if (!NO_PROGRAM.includes(error.code) || ![word, path.resolve(word)].includes(error.path ?? ''))
      throw error;
    throw new JailbuildError(error.code, notAnOperand(word), word, { cause: error });
  }
}

/** Returns whether `--sysroot` applies to an operand: a manifest or a program. */
export function takesSysroot(word: string): boolean {
  if (isImageReference(word) || /\.ya?ml$/.test(word)) return false;
  return !statSync(toBytes(word), { throwIfNoEntry: false })?.isDirectory();
}

async function readImage(reference: string, args: Partial<ExportArguments>): Promise<SourceTree> {
  const other = RESOLVE_OPTIONS.find((name) => args[name] !== undefined);
  if (other !== undefined) {
    throw new JailbuildError('USAGE', `--${other} applies to programs, not to an image`);
  }
  const { hostPlatform, imageRoot } = await import('../../image/image-root.js');
  const { parsePlatform } = await import('../../image/platform.js');
  const { wholeImage } = await import('../../export/whole-image.js');
  const platform = args.platform === undefined ? hostPlatform() : parsePlatform(args.platform);
  return wholeImage(await imageRoot(reference, platform, registryOptionsOf(args)));
}

/** Every image layout has this file (OCI image spec, image-layout.md). */
function isLayout(directory: string): boolean {
  return existsSync(path.join(directory, 'oci-layout'));
}

function notAnOperand(word: string): string {
  const images = 'oci:DIR, oci-archive:FILE, docker-archive:FILE or docker://NAME';
  if (!existsSync(word)) {
    return `${word}: is no directory, no file and no program on PATH: name one, or an image as ${images}`;
  }
  return `${word}: is no directory, no ELF file or script, no manifest (.json) and no jail file (.yaml): name one, or an image as ${images}`;
}
