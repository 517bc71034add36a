import path from 'node:path';
import { openOutput } from '../fs/open-output.js';
import { writeFailed } from '../fs/write-failed.js';
import { refuseNonText } from '../manifest/only-text.js';
import { ociConfig } from './oci-config.js';
import { filtersOf, type LaunchOptions } from './options.js';
import { deniedSystemCalls } from './run.js';

/**
 * Writes an OCI runtime bundle for a run: a directory with a config.json whose root is the jail. Creates the directory
 * if missing.
 *
 * @param root absolute path of the jail
 * @throws JailbuildError LAUNCHER_MISSING, WRITE_FAILED, USAGE for what a bundle cannot express
 */
export async function writeOciBundle(
  directory: string,
  root: string,
  options: LaunchOptions,
  command: readonly string[],
): Promise<void> {
  const denied = filtersOf(options).includes('default') ? await deniedSystemCalls() : [];
  const config = ociConfig(root, options, command, denied);
  const file = path.join(directory, 'config.json');
  refuseNonText(config, '--oci-bundle: a path, argument or variable');
  const text = JSON.stringify(config, undefined, 2);
  try {
    const { ensureDir } = await import('fs-extra/esm');
    await ensureDir(directory);
  } catch (error) {
    throw writeFailed(file, error);
  }
  const output = await openOutput(file);
  try {
    await output.append(Buffer.from(`${text}\n`));
    output.commit();
  } finally {
    output.discard();
  }
}
