import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { JailbuildError, strerror } from '../errors.js';
import { ociConfig } from './oci-config.js';
import type { LaunchOptions } from './options.js';
import { deniedSystemCalls } from './run.js';

/**
 * Writes an OCI runtime bundle of a run: a directory with a config.json that names the jail as its root.
 * It is made if it does not exist.
 *
 * @param root absolute path of the jail
 * @throws JailbuildError LAUNCHER_MISSING, WRITE_FAILED, USAGE for what a bundle cannot say
 */
export async function writeOciBundle(
  directory: string,
  root: string,
  options: LaunchOptions,
  command: readonly string[],
): Promise<void> {
  const denied = (options.seccomp ?? 'default') === 'default' ? await deniedSystemCalls() : [];
  const config = ociConfig(root, options, command, denied);
  const file = path.join(directory, 'config.json');
  try {
    await mkdir(directory, { recursive: true });
    await writeFile(file, `${JSON.stringify(config, undefined, 2)}\n`);
  } catch (error) {
    throw new JailbuildError('WRITE_FAILED', `${file}: ${strerror(error)}`, file);
  }
}
