import type { BuildJob } from '../../jail/build/job.js';
import { runBuild } from '../../jail/build/pipeline.js';
import type { Proven } from '../../jail/build/verify-step.js';
import { fileLine } from './file-line.js';
import { writeOut } from './output.js';
import { stepSummary } from './summary.js';

/** The time in milliseconds for which lines are collected before they are written. */
const FLUSH_INTERVAL = 200;

/** Runs a build and reports it in plain lines, like the original script. */
export async function buildPlain(job: BuildJob, verbose: boolean): Promise<Proven> {
  const out = new LineBuffer();
  try {
    const proven = await runBuild(job, {
      onStep: (name) => {
        if (name === 'write') out.line('Copying ...\n');
      },
      onStepDone: (name, result) => {
        if (verbose && name !== 'write') out.line(stepSummary(name, result));
      },
      onFile: (report) => {
        if (verbose || report.type !== 'directory') out.line(fileLine(report, verbose));
      },
    });
    out.line('\n...... Done');
    return proven;
  } finally {
    out.flush();
  }
}

/** Collects lines into few writes: writing each separately costs more than copying a small file. */
class LineBuffer {
  #text = '';
  #flushed = performance.now();

  line(text: string): void {
    this.#text += `${text}\n`;
    if (performance.now() - this.#flushed > FLUSH_INTERVAL) this.flush();
  }

  flush(): void {
    writeOut(this.#text);
    this.#text = '';
    this.#flushed = performance.now();
  }
}
