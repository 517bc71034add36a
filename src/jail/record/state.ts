/** Where a jail keeps what belongs to jailbuild, for root's eyes only. */
export const STATE_DIRECTORY = '.jailbuild';

/** The record's name in it. */
export const RECORD_NAME = 'record.json';

/** The name of the fingerprint of an unchanged build: see ./fingerprint.ts. */
export const FINGERPRINT_NAME = 'fingerprint.json';
