/** A program that does nothing without files which no rule brings, and the profile that brings them. */
interface Dependent {
  readonly program: RegExp;
  /** Any such path is enough: the user may have brought it in another way. */
  readonly data: RegExp;
  readonly what: string;
  readonly profile: string;
}

const DEPENDENTS: readonly Dependent[] = [
  {
    program: /\/bin\/python3[\d.]*$/,
    data: /\/python3[\d.]*\/(os\.py|encodings\/__init__\.py)$/,
    what: "Python's standard library",
    profile: 'python',
  },
  {
    program: /\/bin\/perl[\d.]*$/,
    data: /\/strict\.pm$/,
    what: "Perl's library of modules",
    profile: 'perl',
  },
  {
    program: /\/s?bin\/nginx$/,
    data: /^\/etc\/nginx\/./,
    what: 'the configuration of nginx',
    profile: 'nginx',
  },
];

/**
 * A sentence for each program of a jail that would start there and fail at once.
 *
 * @param paths of all that the jail holds
 */
export function unprovided(paths: readonly string[]): string[] {
  return DEPENDENTS.flatMap(({ program, data, what, profile }) => {
    const found = paths.find((path) => program.test(path));
    if (found === undefined || paths.some((path) => data.test(path))) return [];
    return [`${found}: ${what} is not in the jail: add --profile ${profile}`];
  });
}
