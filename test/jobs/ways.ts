import { chownSync, mkdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import type { Finished } from '../support/cli.js';
import { adviceIn, type JobTrial, type Outcome, remediesIn } from './driver.js';
import { hostTrace } from './host-view.js';

/** A jail built in some way, and the result of the job in it. */
export interface Tried {
  readonly built: Finished;
  readonly outcome: Outcome;
  /** Number of rounds that added something. */
  readonly rounds?: number;
  /** Additional remarks. */
  readonly note?: string;
}

/** Traces the job on the host, builds the jail from the trace, and runs the job there once. */
export async function trace(trial: JobTrial): Promise<Tried> {
  const own = path.join(trial.directory, 'out');
  mkdirSync(own);
  chownSync(own, trial.user.uid, trial.user.gid);
  const file = path.join(own, 'job.trace');
  const onHost = await trial.start(hostTrace(trial, file));
  trial.prepare();
  // The job's own files are mounted, and the host does not have them.
  const built = trial.build(['--trace', file, '--allow-missing']);
  if (built.status !== 0) return { built, outcome: { passes: false, output: built.stderr } };
  const outcome = await trial.run();
  const note = onHost.passes ? '' : ', FAILED on the host';
  const output = onHost.passes ? outcome.output : `on the host: ${onHost.output}${outcome.output}`;
  return { built, outcome: { ...outcome, output }, note };
}

/** Builds a jail of only the job's programs, and adds the rest with `prove --add`. */
export async function prove(trial: JobTrial, ...further: readonly string[]): Promise<Tried> {
  const built = trial.build();
  if (built.status !== 0) return { built, outcome: { passes: false, output: built.stderr } };
  const proof = await trial.run(
    (options, command) => [
      ...['prove', trial.root, '--add', ...further],
      // A job with a window prints nothing.
      ...(trial.job.display ? [] : ['--expect', trial.job.expect]),
      ...[...options, '--', ...command],
    ],
    'fresh',
  );
  const outcome = await trial.run();
  // The last run adds nothing.
  const runs = [
    ...proof.output.matchAll(
      /jailbuild: round \d+: the command (?:failed|ended|did not|succeeded\n)/g,
    ),
  ].length;
  const rounds = Math.max(runs - 1, 0);
  return {
    built,
    outcome: { ...outcome, output: `${proof.output}--- then\n${outcome.output}` },
    rounds,
    note: `, ${rounds} rounds`,
  };
}

/** As {@link prove}, and removes what the job does not use. */
export async function least(trial: JobTrial): Promise<Tried> {
  return prove(trial, '--least');
}

/** Profiles for the jobs of some programs. */
const PROFILES: Readonly<Record<string, string>> = {
  python3: 'python',
  perl: 'perl',
  node: 'node',
  nginx: 'nginx',
  openssl: 'ssl',
  curl: 'ssl',
};

/** Builds with the profile for the job's program; undefined if there is none. */
export async function profile(trial: JobTrial): Promise<Tried | undefined> {
  const names = trial.job.programs.map((program) => PROFILES[path.basename(program)]);
  const options = names.flatMap((name) => (name === undefined ? [] : ['--profile', name]));
  if (options.length === 0) return undefined;
  const built = trial.build(options);
  if (built.status === 0) return { built, outcome: await trial.run() };
  return { built, outcome: { passes: false, output: built.stderr } };
}

/** Builds by default, and again with exactly what the advice of that build suggests. */
export async function advised(trial: JobTrial): Promise<Tried> {
  const first = trial.build();
  const lines = adviceIn(first);
  const remedies = remediesIn(lines);
  const note = `, ${lines.length} lines: ${remedies.join(' ')}`;
  if (remedies.length === 0) return { built: first, outcome: await trial.run(), note };
  rmSync(trial.root, { recursive: true, force: true });
  const built = trial.build(remedies);
  if (built.status === 0) return { built, outcome: await trial.run(), note };
  return { built, outcome: { passes: false, output: built.stderr }, note };
}
