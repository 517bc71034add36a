/**
 * The search path of root (login(1), ENV_SUPATH of login.defs(5)), and of container engines if an
 * image sets none. Used if no other PATH is known.
 */
export const STANDARD_PATH: readonly string[] = [
  '/usr/local/sbin',
  '/usr/local/bin',
  '/usr/sbin',
  '/usr/bin',
  '/sbin',
  '/bin',
];
