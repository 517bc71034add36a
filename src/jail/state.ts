/** Where a jail keeps what belongs to jailbuild, for root's eyes only. */
export const STATE_DIRECTORY = '.jailbuild';
