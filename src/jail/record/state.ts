/** Directory of jailbuild's state in a jail; readable by root alone. */
export const STATE_DIRECTORY = '.jailbuild';

/** Name of the record in it. */
export const RECORD_NAME = 'record.json';

/** Directory where new content of an existing jail is prepared and replaced content is moved. */
export const STAGE_NAME = 'stage';

/** Name of the fingerprint of an unchanged build: see ./fingerprint.ts. */
export const FINGERPRINT_NAME = 'fingerprint';

/** Name of the list of mount points that runs made in the jail: see ./mount-points.ts. */
export const MOUNT_POINTS_NAME = 'mount-points';

/** Files of earlier versions that are no longer read. */
export const FORMER_STATE_NAMES: readonly string[] = [
  ...['proof.json', 'proof.json.new'],
  ...['fingerprint.json', 'fingerprint.json.new'],
];
