import { isRunTimeFile } from '../../evidence/packages/run-time-files.js';
import type { Trace } from '../../fs/sysroot.js';
import { SELDOM_LOADED } from './library-modules.js';

const OTHER_NOISE =
  /\/(XErrorDB|X11\/locale|conf\.avail|[\w-]+\.d|alsa(-lib)?|locale|terminfo|zoneinfo|zsh\/vendor-functions|bash-completion|icons|themes|applications|mime|dri|charset\.alias|bfd-plugins|binfmts)(\/|$)/;
/**
 * Paths that many programs name through their libraries and do not need, or that other options
 * add: modules that few load, optional caches and databases, plug-ins of name services, time zones,
 * and directories to which other packages add (`*.d`).
 */
export const NOISE = new RegExp(`${SELDOM_LOADED.source}|${OTHER_NOISE.source}`);
export const CONFIGURATION = /^\/etc(\/|$)/;
/** Directories in which programs are looked up. */
const PROGRAM_DIRECTORY = /^(\/usr|\/usr\/local)?\/s?bin$/;
export const LIBRARY = /\.so(\.[\d.]+)?$/;
export const PROGRAM = /^(\/usr|\/usr\/local)?\/s?bin\/[^/]+$/;
/** Library directories of one architecture, shared like /usr/lib. */
const MULTIARCH = /^(\/usr)?\/(lib|libexec|share)\/[^/]+-linux-[^/]+$/;
/** Matches a file that only compilers read. */
export const HEADER = /\.(h|hh|hpp)$/;
/** The minimum number of path components of a directory that is specific, unlike `/usr/lib`. */
const MIN_DEPTH = 3;

/** Returns whether a directory holds the libraries of one architecture, of many packages. */
export function isLibraryDirectory(path: string): boolean {
  return MULTIARCH.test(path);
}

/** Returns whether a file or directory holds data of a package, and not code or configuration. */
export function isData({ path, stat }: Trace): boolean {
  if (NOISE.test(path) || CONFIGURATION.test(path)) return false;
  if (PROGRAM_DIRECTORY.test(path) || !isRunTimeFile(path)) return false;
  if (isLibraryDirectory(path) || LIBRARY.test(path)) return false;
  if (PROGRAM.test(path) || HEADER.test(path)) return false;
  // What is in a directory of programs is started, not read.
  if (stat.type === 'directory' && /\/s?bin$/.test(path)) return false;
  return stat.type === 'file' || path.split('/').length > MIN_DEPTH;
}

/** Returns whether a file is configuration that everyone may read. */
export function isConfiguration({ path, stat }: Trace): boolean {
  if (!CONFIGURATION.test(path) || NOISE.test(path)) return false;
  return stat.type === 'file' && (stat.mode & 0o004) !== 0;
}
