import { createHash, type Hash } from 'node:crypto';
import { appendFileSync, existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { JAILBUILD } from '../support/cli.js';
import type { Job } from './driver.js';

/** The result of a job with a policy; `none` if the policy does not apply. */
export type Result =
  | 'none'
  | {
      readonly passes: boolean;
      /** The size of the jail in bytes, if it was built. */
      readonly size?: number;
      readonly note: string;
    };

interface Line {
  /** A digest of the product and the job. */
  readonly of: string;
  readonly job: string;
  readonly policy: string;
  readonly result: Result;
}

/** Results in a file, one a line, each of a build of the product. */
export class KeptResults {
  readonly #file: string | undefined;
  readonly #build: string;
  readonly #results = new Map<string, Result>();

  /** @param file undefined to keep nothing */
  constructor(file: string | undefined) {
    this.#file = file;
    this.#build = file === undefined ? '' : digestOf(path.dirname(JAILBUILD));
    if (file === undefined || !existsSync(file)) return;
    // A line that was being written when the campaign was killed is measured again.
    const lines = readFileSync(file, 'utf8').split('\n').slice(0, -1);
    for (const line of lines) {
      const { of, policy, result } = JSON.parse(line) as Line;
      if (result === 'none' || result.passes) this.#results.set(`${of} ${policy}`, result);
    }
  }

  /** Returns the result of the same build and job; undefined if there is none, or it failed. */
  find(job: Job, policy: string): Result | undefined {
    return this.#results.get(`${this.#digest(job)} ${policy}`);
  }

  /** Appends a result that is not there yet. */
  add(job: Job, policy: string, result: Result): void {
    if (this.#file === undefined || this.find(job, policy) !== undefined) return;
    const line: Line = { of: this.#digest(job), job: job.name, policy, result };
    appendFileSync(this.#file, `${JSON.stringify(line)}\n`);
  }

  #digest(job: Job): string {
    return shortDigest(createHash('sha256').update(this.#build).update(JSON.stringify(job)));
  }
}

/** Returns a digest of all files of a directory. */
function digestOf(directory: string): string {
  const hash = createHash('sha256');
  const names = readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.join(entry.parentPath, entry.name))
    .sort();
  for (const name of names)
    hash.update(`${path.relative(directory, name)}\n`).update(readFileSync(name));
  return shortDigest(hash);
}

function shortDigest(hash: Hash): string {
  return hash.digest('hex').slice(0, 16);
}
