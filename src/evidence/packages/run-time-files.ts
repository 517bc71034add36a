/** Files that libraries install for tools that build programs, and these tools for themselves. */
const BUILD_TOOL = /^\/usr\/share\/(pkgconfig|aclocal|vala|gir-1\.0)(\/|$)/;

/** Files for people, compilers and checks of packages, not for running programs. */
const NO_RUN_TIME = [
  /^\/usr\/(local\/)?share\/(doc|man|info|lintian|bug|doc-base|gtk-doc|help|devhelp|reportbug|calendar)(\/|$)/,
  /\/man\/(.*\/)?[^/]+\.[1-9][a-z]*(\.gz)?$/,
  /^\/usr\/share\/(locale|locale-langpack)\//,
  /^\/usr\/share\/(bash-completion|fish\/vendor_completions\.d|zsh\/(vendor-completions|site-functions))(\/|$)/,
  /^\/etc\/bash_completion\.d(\/|$)/,
  /\/(__pycache__|\.build-id)(\/|$)/,
  BUILD_TOOL,
];

/** Files that only compilers open. */
const COMPILED = [
  /^\/usr\/(local\/)?include(\/|$)/,
  /^(\/usr)?\/lib(32|64|x32)?(\/[^/]+-linux-[^/]+)?\/([^/]+\.l?a|pkgconfig|cmake)(\/|$)/,
];

/**
 * Returns whether running programs may open a file of a package: not documentation, manual pages,
 * translations, completions, headers, or static libraries.
 *
 * @param path as the package database names it
 * @param forCompiler whether headers and static libraries are wanted
 */
export function isRunTimeFile(path: string, forCompiler = false): boolean {
  if (!forCompiler && COMPILED.some((pattern) => pattern.test(path))) return false;
  return !NO_RUN_TIME.some((pattern) => pattern.test(path));
}

/** Returns whether a file is for tools that build programs, which need those of their own packages. */
export function isBuildToolFile(path: string): boolean {
  return BUILD_TOOL.test(path);
}
