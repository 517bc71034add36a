/** Where a jail keeps what belongs to jailbuild, for root's eyes only. */
export const STATE_DIRECTORY = '.jailbuild';

/** The record's name in it. */
export const RECORD_NAME = 'record.json';

/** Where new content of an existing jail is made ready, and replaced content goes. */
export const STAGE_NAME = 'stage';

/** The name of the fingerprint of an unchanged build: see ./fingerprint.ts. */
export const FINGERPRINT_NAME = 'fingerprint';

/** The name of the list of what runs have made in the jail: see ./mount-points.ts. */
export const MOUNT_POINTS_NAME = 'mount-points';

/** Files in it that earlier versions kept, and that nothing reads any more. */
export const FORMER_STATE_NAMES: readonly string[] = [
  ...['proof.json', 'proof.json.new'],
  ...['fingerprint.json', 'fingerprint.json.new'],
];
