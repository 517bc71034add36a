import { JailbuildError } from '../../errors.js';
import { type Destination, STDOUT_PATH } from '../../export/destination.js';
import { isStream } from '../../fs/open-output.js';
import { type PendingFile, prepareFile } from '../manifest-file.js';
import type { Part } from './export-source.js';
import type { SbomRequest } from './sbom-document.js';

/** A bill of materials to write, and where to. */
export interface PreparedSbom {
  readonly request: SbomRequest;
  /** Absent if it is only attached. */
  readonly file: PendingFile | undefined;
  readonly isAttached: boolean;
}

/**
 * Prepares the file of the bill of materials, if one is requested.
 *
 * @throws JailbuildError USAGE, WRITE_FAILED
 */
export async function prepareSbom(
  parts: readonly [Part, ...Part[]],
  destinations: readonly [Destination, ...Destination[]],
  signal: AbortSignal,
): Promise<PreparedSbom | undefined> {
  const { sbomRequest } = await import('./sbom-document.js');
  const [{ args, source }] = parts;
  const [{ path, kind }] = destinations;
  const isFile = path !== STDOUT_PATH && kind !== 'docker' && !isStream(path);
  const isRegistry = destinations.every((one) => one.kind === 'docker');
  const isAttached = args.attach ?? (isRegistry && args['sbom-file'] === undefined);
  const isBeside = isFile && destinations.length === 1 && parts.length === 1 && !isAttached;
  const request = sbomRequest(args, isBeside ? path : undefined, source.file?.image.sbom);
  if (request === undefined) {
    if (!args.attach) return undefined;
    throw new JailbuildError('USAGE', '--attach requires --sbom');
  }
  if (request.file === undefined) {
    if (isAttached) return { request, file: undefined, isAttached };
    throw new JailbuildError('USAGE', '--sbom: name its file with --sbom-file, or --attach it');
  }
  if (parts.length > 1) {
    const why = 'each platform has a bill of materials of its own: --attach them';
    throw new JailbuildError('USAGE', `--sbom-file: ${why}`);
  }
  return { request, file: await prepareFile(request.file, signal), isAttached };
}
