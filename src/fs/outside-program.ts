/**
 * Returns execa for programs of the host, with a working directory that always exists: the caller's may be
 * closed to this user, or gone. For data that passes through a program, see ./filter.ts.
 */
export async function outsideProgram() {
  const { execa } = await import('execa');
  return execa({ cwd: '/' });
}
