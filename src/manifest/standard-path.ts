/**
 * The search path of root (login(1), ENV_SUPATH of login.defs(5)), which container engines use if an image
 * sets none. Used wherever no other PATH is known.
 */
export const STANDARD_PATH: readonly string[] = [
  '/usr/local/sbin',
  '/usr/local/bin',
  '/usr/sbin',
  '/usr/bin',
  '/sbin',
  '/bin',
];
