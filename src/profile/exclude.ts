import { JailbuildError } from '../errors.js';
import type { Reason } from '../manifest/manifest.js';
import type { Resolution } from '../resolve/additions.js';
import type { ProgramResolver } from '../resolve/program-resolver.js';
import { matcher } from './glob.js';

/** Removes files that match the patterns, and directories with all their content. */
export function takeOut({ files, programs }: Resolution, patterns: readonly string[]): void {
  const matches = matcher(patterns, { dot: true, matchBase: true });
  const out = new Set<string>();
  for (const { path } of files.sorted()) {
    if (matches(path) || out.has(path.slice(0, path.lastIndexOf('/')))) out.add(path);
  }
  for (const path of out) {
    for (const reason of files.reasonsOf(path)) refuseOrMiss(path, reason, out, programs);
  }
  files.remove(out);
}

/**
 * Refuses to exclude a program or its interpreter; records excluded libraries as missing, which may
 * be allowed.
 */
function refuseOrMiss(
  path: string,
  reason: Reason,
  out: ReadonlySet<string>,
  programs: ProgramResolver,
): void {
  const refused = (why: string) =>
    new JailbuildError('EXCLUDED_NEEDED', `${path}: is excluded, but ${why}`, path);
  switch (reason.kind) {
    case 'requested':
      throw refused(`requested as ${reason.as}`);
    case 'interpreter':
    case 'shebang':
    case 'env':
      if (!out.has(reason.of)) throw refused(`runs ${reason.of}`);
      return;
    case 'needed':
      if (out.has(reason.by)) return;
      programs.addMissing({
        name: reason.name,
        neededBy: reason.by,
        searched: [{ rule: 'excluded', path }],
      });
      return;
    default:
  }
}
