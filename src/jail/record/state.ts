/** Where a jail keeps what belongs to jailbuild, for root's eyes only. */
export const STATE_DIRECTORY = '.jailbuild';

/** The record's name in it. */
export const RECORD_NAME = 'record.json';

/** The name of what proves that nothing has changed since: see ./proof.ts. */
export const PROOF_NAME = 'proof.json';
