import { BUILD_STEPS, type BuildJob } from '../../jail/build/pipeline.js';
import { fileLine } from './file-line.js';
import { writeOut } from './output.js';
import { stepSummary } from './summary.js';

/** How long lines may wait to be written together, in milliseconds. */
const FLUSH_INTERVAL = 200;

/** Runs a build and tells it in plain lines, in the manner of the script that it follows. */
export async function buildPlain(job: BuildJob, verbose: boolean): Promise<void> {
  const out = new LineBuffer();
  try {
    for (const step of BUILD_STEPS) {
      if (step.name === 'write') out.line('Copying ...\n');
      await step.run(job, (report) => {
        if (verbose || report.type !== 'directory') out.line(fileLine(report, verbose));
      });
      if (verbose && step.name !== 'write') out.line(stepSummary(step.name, job));
    }
    out.line('\n...... Done');
  } finally {
    out.flush();
  }
}

/** Gathers lines into few writes: writing each alone costs more than copying a small file. */
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
