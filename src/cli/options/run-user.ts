import { existsSync } from 'node:fs';
import path from 'node:path';
import { JailbuildError } from '../../errors.js';
import { unknownNames } from '../../export/image-user.js';
import type { Manifest } from '../../manifest/manifest.js';
import { placeInYaml } from '../../profile/checked-yaml.js';
import type { JailFile } from '../../profile/jail-file.js';

/**
 * Refuses a jail file whose `run` names a user that the jail does not have.
 *
 * @param sourceRoot the real path that the plan's sources are in; '' for `/`
 * @param root the jail's directory
 * @throws JailbuildError JAIL_FILE_INVALID with file, line and column
 */
export function refuseUnknownUser(
  file: JailFile,
  { entries }: Manifest,
  sourceRoot: string,
  root: string | undefined,
): void {
  const { user } = file.run.options;
  if (typeof user !== 'string') return;
  const [unknown] = unknownNames({ entries, sourceRoot }, user);
  // An existing jail may have a passwd file that its owner wrote.
  const isPlanned = entries.some(({ path: at }) => at === '/etc/passwd');
  if (unknown === undefined || (!isPlanned && existsSync(path.join(root ?? '', 'etc/passwd')))) {
    return;
  }
  throw new JailbuildError(
    'JAIL_FILE_INVALID',
    `${placeInYaml(file.name, ['run', 'user'])}: run.user is ${user}, and the jail has no ${unknown}: add it to users`,
    file.name,
  );
}
