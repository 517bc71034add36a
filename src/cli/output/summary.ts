import type { BuildSteps, StepName } from '../../jail/build/pipeline.js';
import type { Written } from '../../jail/build/write-step.js';
import { formatSize, plural, printable } from './text.js';

/** Titles of running steps. */
export const STEP_TITLE: Readonly<Record<StepName, string>> = {
  resolve: 'Resolve programs',
  plan: 'Plan the jail',
  write: 'Write the jail',
  verify: 'Verify the jail',
};

const SUMMARY: { readonly [N in StepName]: (result: BuildSteps[N]) => string } = {
  resolve: ({ request }) => `Resolved ${plural(request.programs.length, 'program')}`,
  plan: ({ manifest: { entries } }) => {
    const bytes = entries.reduce((sum, entry) => sum + ('size' in entry ? entry.size : 0), 0);
    return `Planned ${plural(entries.length, 'entry', 'entries')}, ${formatSize(bytes)}`;
  },
  write: (written) => `Wrote ${printable(written.planned.job.target)}: ${actionCounts(written)}`,
  verify: ({ verifiedFiles }) =>
    `Verified: the programs find all of their ${plural(verifiedFiles, 'file')} in the jail`,
};

/** Returns a line about the result of a step. */
export function stepSummary<N extends StepName>(name: N, result: BuildSteps[N]): string {
  return SUMMARY[name](result);
}

const ACTIONS = ['created', 'replaced', 'unchanged', 'kept', 'removed'] as const;

/** `40 created, 2 unchanged`. */
function actionCounts({ files, removed }: Written): string {
  const counts = new Map<string, number>([['removed', removed.length]]);
  for (const { action } of files) counts.set(action, (counts.get(action) ?? 0) + 1);
  return ACTIONS.filter((action) => (counts.get(action) ?? 0) > 0)
    .map((action) => `${counts.get(action)} ${action}`)
    .join(', ');
}
