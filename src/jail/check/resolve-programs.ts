import { JailbuildError } from '../../errors.js';
import { Sysroot } from '../../fs/sysroot.js';
import { describeMissing } from '../../manifest/missing.js';
import { newlyMissing, programsOf, resolveInRoot } from '../../plan/verify.js';
import type { JailRecord } from '../record/record.js';
import type { ReportFinding } from './finding.js';

/** Resolves the recorded programs that exist again, with the jail as their root. */
export function resolvePrograms(
  { manifest, request }: JailRecord,
  present: ReadonlySet<string>,
  root: string,
  report: ReportFinding,
): void {
  const searchPath = request.path === undefined ? {} : { searchPath: request.path };
  const programs = programsOf(manifest).filter((path) => present.has(path));
  const attempt = (some: readonly string[]): JailbuildError | undefined => {
    try {
      const closure = resolveInRoot(manifest, new Sysroot(root), some, searchPath);
      for (const library of newlyMissing(closure, manifest)) {
        const { name, neededBy, version } = library;
        report('unresolved', neededBy, [version === undefined ? name : describeMissing(library)]);
      }
      return undefined;
    } catch (error) {
      if (error instanceof JailbuildError) return error;
      throw error;
    }
  };
  // One verification of all programs is fastest, but a program that cannot be parsed hides the others.
  if (attempt(programs) === undefined) return;
  for (const program of programs) {
    const error = attempt([program]);
    if (error !== undefined) report('unresolved', program, [error.message]);
  }
}
