/** What is read by people, by compilers and by checks of packages, not by programs that run. */
const NO_RUN_TIME = [
  /^\/usr\/(local\/)?share\/(doc|man|info|lintian|bug|doc-base|gtk-doc|help|devhelp|reportbug|calendar)(\/|$)/,
  /\/man\/(.*\/)?[^/]+\.[1-9][a-z]*(\.gz)?$/,
  /^\/usr\/share\/(locale|locale-langpack)\//,
  /^\/usr\/share\/(bash-completion|fish\/vendor_completions\.d|zsh\/(vendor-completions|site-functions))(\/|$)/,
  /^\/etc\/bash_completion\.d(\/|$)/,
  /\/(__pycache__|\.build-id)(\/|$)/,
  /^\/usr\/share\/(pkgconfig|aclocal|vala|gir-1\.0)(\/|$)/,
];

/** What compilers alone open. */
const COMPILED = [
  /^\/usr\/(local\/)?include(\/|$)/,
  /^(\/usr)?\/lib(32|64|x32)?(\/[^/]+-linux-[^/]+)?\/([^/]+\.l?a|pkgconfig|cmake)(\/|$)/,
];

/**
 * Whether programs may open a file of a package when they run: not documentation, manual pages,
 * translations, completions, headers, or static libraries.
 *
 * @param path as the package has it
 * @param forCompiler headers and static libraries are wanted
 */
export function isRunTimeFile(path: string, forCompiler = false): boolean {
  if (!forCompiler && COMPILED.some((pattern) => pattern.test(path))) return false;
  return !NO_RUN_TIME.some((pattern) => pattern.test(path));
}
