/** Matches a program of a package, and its name. */
export const PROGRAM = /^(?:\/usr)?\/s?bin\/([^/]+)$/;
