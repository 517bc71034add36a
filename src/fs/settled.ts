/**
 * Minimum time between a file's last change and its inspection, in milliseconds, for its times to identify its content:
 * file systems keep times to two seconds at worst, and changes within one clock step have equal times.
 */
export const SETTLED = 2000;
