import { type Destination, STDOUT_PATH } from '../../export/destination.js';
import type { JailFile } from '../../profile/jail-file.js';
import type { ExportArguments } from '../options/export.js';
import type { PendingDepfile } from './depfile.js';
import type { PreparedPart } from './export-part.js';
import type { Part } from './export-source.js';

/**
 * Prepares the file of `--depfile`; its default target is the digest file, or the first output.
 *
 * @throws JailbuildError USAGE, WRITE_FAILED
 */
export async function prepareRule(args: ExportArguments, destinations: readonly Destination[]) {
  if (args.depfile === undefined && args['depfile-target'] === undefined) return undefined;
  const { prepareDepfile } = await import('./depfile.js');
  const files = destinations.flatMap(({ kind, path }) =>
    path === STDOUT_PATH || kind === 'docker' ? [] : [kind === 'oci' ? `${path}/index.json` : path],
  );
  const digestFile = args['digest-file'];
  const all = digestFile === undefined ? files : [digestFile, ...files];
  return prepareDepfile(args, all[0], all);
}

/** Writes the make rule: the host files that the export depends on. */
export async function commitRule(
  rule: PendingDepfile,
  parts: readonly Part[],
  prepared: readonly PreparedPart[],
): Promise<void> {
  const { filesOfImage, lookedAt, sourcesOf } = await import('./depfile.js');
  const { loadProfiles } = await import('../../profile/load.js');
  const files = parts.flatMap(({ args, source: { file } }) => [
    ...(args.from === undefined ? [] : [args.from]),
    ...filesOfImage(args['from-image']),
    ...filesOfImage((args.platformRoot ?? args).sysrootImage?.reference),
    ...filesOfImage(rootOfFile(file)),
    ...(args.trace ?? []),
    ...(file === undefined ? [] : [file.path, ...file.traces]),
    ...loadProfiles([...(args.profile ?? []), ...(file?.profiles ?? [])]).map(({ path }) => path),
  ]);
  const sources = prepared.flatMap(({ tree }) => sourcesOf(tree.entries, tree.sourceRoot));
  await rule.commit(
    [...files, ...sources],
    prepared.map(({ sysroot }) => lookedAt(sysroot)),
  );
}

/** The root that a jail file names. */
function rootOfFile(file: JailFile | undefined): string | undefined {
  const root = file?.options.sysroot;
  return typeof root === 'string' ? root : undefined;
}
