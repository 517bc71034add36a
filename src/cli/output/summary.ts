import type { BuildJob, BuildStep } from '../../jail/build/pipeline.js';
import { formatSize, plural, printable } from './text.js';

/** What a step is called while it runs. */
export const STEP_TITLE: Readonly<Record<BuildStep['name'], string>> = {
  resolve: 'Resolve programs',
  plan: 'Plan the jail',
  write: 'Write the jail',
  verify: 'Verify the jail',
};

/** What a step has done, in one line. */
export function stepSummary(step: BuildStep['name'], job: BuildJob): string {
  switch (step) {
    case 'resolve':
      return `Resolved ${plural(job.whole?.programs.length ?? 0, 'program')}`;
    case 'plan': {
      const entries = job.manifest?.entries ?? [];
      const bytes = entries.reduce((sum, entry) => sum + ('size' in entry ? entry.size : 0), 0);
      return `Planned ${plural(entries.length, 'entry', 'entries')}, ${formatSize(bytes)}`;
    }
    case 'write':
      return `Wrote ${printable(job.target)}: ${actionCounts(job)}`;
    case 'verify':
      return `Verified: the programs find all of their ${plural(job.verified ?? 0, 'file')} in the jail`;
  }
}

const ACTIONS = ['created', 'replaced', 'unchanged', 'kept', 'removed'] as const;

/** `40 created, 2 unchanged`. */
function actionCounts({ files = [], removed = [] }: BuildJob): string {
  const counts = new Map<string, number>([['removed', removed.length]]);
  for (const { action } of files) counts.set(action, (counts.get(action) ?? 0) + 1);
  return ACTIONS.filter((action) => (counts.get(action) ?? 0) > 0)
    .map((action) => `${counts.get(action)} ${action}`)
    .join(', ');
}
