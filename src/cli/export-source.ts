import type { FileTree } from '../export/file-tree.js';
import { scanTree } from '../export/scan.js';
import { STATE_DIRECTORY } from '../jail/state.js';
import type { Manifest } from '../plan/manifest.js';
import { describeMissing, refuseMissing } from '../plan/missing.js';
import { plan } from '../plan/plan.js';
import { resolve } from '../resolve/resolve.js';
import { type ExportArguments, isJail } from './export.js';
import { resolveChoices } from './resolve-options.js';

/** What is to be exported. */
export interface ExportSource {
  readonly tree: FileTree;
  readonly warnings: readonly string[];
  /** What a container runs where nothing else is said. */
  readonly command?: readonly string[];
}

/** Finds what the command line names: a jail, or programs that need none on the disk. */
export function sourceOf(args: ExportArguments): ExportSource {
  const what = args.what ?? [];
  return isJail(what) ? jailSource(what[0] ?? '') : programSource(args);
}

function jailSource(root: string): ExportSource {
  const { warnings, ...tree } = scanTree(root, { leaveOut: [STATE_DIRECTORY] });
  return { tree, warnings };
}

function programSource(args: ExportArguments): ExportSource {
  const closure = resolve({
    programs: args.what ?? [],
    ...resolveChoices(args),
  });
  if (!args['allow-missing']) refuseMissing(closure.missing);
  const manifest = plan(closure);
  return manifestSource(manifest, closure.sysroot.prefix);
}

function manifestSource(manifest: Manifest, sourceRoot: string): ExportSource {
  const program = firstProgram(manifest);
  return {
    tree: { entries: manifest.entries, sourceRoot },
    warnings: [...manifest.missing.map(describeMissing), ...manifest.warnings],
    ...(program === undefined ? {} : { command: [program] }),
  };
}

/** Where the program is that was asked for first. */
function firstProgram({ request, entries }: Manifest): string | undefined {
  const [first] = request.programs;
  return entries.find(({ reasons }) =>
    reasons.some((reason) => reason.kind === 'requested' && reason.as === first),
  )?.path;
}
