import { Listr } from 'listr2';
import { BUILD_STEPS, type BuildJob } from '../../jail/build/pipeline.js';
import { fileLine } from './file-line.js';
import { STEP_TITLE, stepSummary } from './summary.js';

/** Lines of file reports that are in view while the jail is written. */
const LINES_IN_VIEW = 6;

/**
 * Runs a build as a live task list on a terminal: a line a step, below the running one its last
 * file reports, which are gone at the end unless `verbose`.
 */
export async function buildLive(job: BuildJob, verbose: boolean): Promise<void> {
  const tasks = BUILD_STEPS.map((step) => ({
    title: STEP_TITLE[step.name],
    task: async (_: unknown, task: { title: string; output: string }) => {
      await step.run(job, (report) => {
        if (verbose || report.type !== 'directory') task.output = fileLine(report, verbose);
      });
      task.title = stepSummary(step.name, job);
    },
    rendererOptions: {
      outputBar: verbose ? Number.POSITIVE_INFINITY : LINES_IN_VIEW,
      persistentOutput: verbose,
    },
  }));
  await new Listr(tasks, {
    concurrent: false,
    registerSignalListeners: false,
    rendererOptions: { showErrorMessage: false, collapseErrors: false },
  }).run();
}
