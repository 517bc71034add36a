import type { ExportArguments } from '../options/export.js';
import { type ExportSource, findSource } from './export-source.js';

/**
 * Finds what the operands of a command name: a manifest (`.json`) or a jail file (`.yaml`, `.yml`) by
 * the ending of a lone word, otherwise a jail or programs, as `export` does.
 *
 * @param args options that determine how programs are resolved
 * @throws JailbuildError USAGE, and what reading a jail file throws
 */
export function sourceOf(words: readonly string[], args: Partial<ExportArguments>): ExportSource {
  const [word] = words;
  const isFile = words.length === 1 && word !== undefined && /\.(?:json|ya?ml)$/.test(word);
  const named = isFile ? { from: word, what: undefined } : { from: undefined, what: [...words] };
  return findSource({ ...args, ...named } as ExportArguments);
}
