import { Listr } from 'listr2';
import type { BuildJob } from '../../jail/build/job.js';
import { runBuild, STEP_NAMES, type StepName } from '../../jail/build/pipeline.js';
import type { Proven } from '../../jail/build/verify-step.js';
import type { WorkProgress } from '../../manifest/work.js';
import { fileLine } from './file-line.js';
import { writeOut } from './output.js';
import { SHOW_CURSOR, SHOWN_AFTER } from './progress.js';
import { STEP_TITLE, stepSummary } from './summary.js';
import { workText } from './work-text.js';

/** The number of file reports in view while the jail is written. */
const LINES_IN_VIEW = 6;

/**
 * Runs a build as a live task list on a terminal: one line for each step, and below the running one
 * its last file reports, which are removed at the end unless `verbose`.
 */
export async function buildLive(job: BuildJob, verbose: boolean): Promise<Proven> {
  const steps = new FollowedSteps(job, verbose);
  const tasks = STEP_NAMES.map((name) => ({
    title: STEP_TITLE[name],
    task: async (_: unknown, task: { title: string; output: string }) => {
      // A signal may end the process before it writes, leaving the cursor hidden.
      if (name === 'resolve') writeOut(SHOW_CURSOR);
      const started = performance.now();
      task.title = await steps.summaryOf(name, {
        onLine: (line) => {
          task.output = line;
        },
        onWork: (progress) => {
          if (performance.now() - started > SHOWN_AFTER) task.title = workText(progress);
        },
      });
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
  return steps.build();
}

/** The view of a running step. */
interface Followed {
  readonly onLine: (line: string) => void;
  readonly onWork: (progress: WorkProgress) => void;
}

/** A build whose steps can be awaited one by one; awaiting the first starts it. */
class FollowedSteps {
  readonly #job: BuildJob;
  readonly #verbose: boolean;
  readonly #summaries = new Map<StepName, string>();
  #onStepDone: () => void = () => {};
  #followed: Followed = { onLine: () => {}, onWork: () => {} };
  #build: Promise<Proven> | undefined;

  constructor(job: BuildJob, verbose: boolean) {
    this.#job = job;
    this.#verbose = verbose;
  }

  build(): Promise<Proven> {
    this.#build ??= runBuild(this.#job, {
      onStepDone: (name, result) => {
        this.#summaries.set(name, stepSummary(name, result));
        this.#onStepDone();
      },
      onFile: (report) => {
        if (this.#verbose || report.type !== 'directory') {
          this.#followed.onLine(fileLine(report, this.#verbose));
        }
      },
      onWork: (progress) => this.#followed.onWork(progress),
    });
    return this.#build;
  }

  /** Waits for a step. @throws what the build throws */
  async summaryOf(name: StepName, followed: Followed): Promise<string> {
    this.#followed = followed;
    const build = this.build();
    for (;;) {
      const summary = this.#summaries.get(name);
      if (summary !== undefined) return summary;
      const next = new Promise<void>((resolve) => {
        this.#onStepDone = resolve;
      });
      await Promise.race([next, build]);
    }
  }
}
