import { type ChildProcess, spawn } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  copyFileSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
} from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { exec, type Finished, JAILBUILD, jailbuild, PROJECT, succeed } from '../support/cli.js';

const FIXTURES = path.join(PROJECT, 'fixtures/jobs');
const BUSYBOX = '/bin/busybox';
/** Time limit of a job, in seconds: even a slow, busy machine takes less. */
const TIMEOUT = 120;
/** Time limit of all runs of a job, in milliseconds: several rounds of a proof may each take as long. */
const LIMIT = 5 * TIMEOUT * 1000;
/** Time between two looks for a window, in milliseconds. */
const LOOK_EVERY = 250;

/** A real job of real programs; fixtures/jobs/README.md describes the fields. */
export interface Job {
  readonly name: string;
  readonly programs: readonly string[];
  readonly script: string;
  readonly expect: string;
  readonly user?: string;
  readonly display?: boolean;
  readonly files?: readonly string[];
  readonly prepare?: string;
}

/** The result of a job. */
export interface Outcome {
  readonly passes: boolean;
  /** Standard output and standard error, and the tree of windows for a job with a window. */
  readonly output: string;
}

/** Returns the command line of jailbuild that runs a command with options of `run`. */
export type Launch = (runOptions: readonly string[], command: readonly string[]) => string[];

/**
 * What happens to files that a job writes: with `fresh`, each run starts with the original ones.
 */
export type JobFiles = 'kept' | 'fresh';

/** Reads the jobs of a file below fixtures/jobs. */
export function readJobs(file = 'jobs.json'): Job[] {
  return JSON.parse(readFileSync(path.join(FIXTURES, file), 'utf8')) as Job[];
}

/** Programs of the host that jobs need besides their own. */
export function toolsOf(jobs: readonly Job[]): string[] {
  const own = jobs.flatMap(({ programs }) => programs.filter((item) => !item.startsWith('$WORK')));
  const windows = jobs.some(({ display }) => display) ? ['Xvfb', 'xwininfo'] : [];
  return [...new Set([...own, BUSYBOX, ...windows])];
}

/**
 * A job with a directory for its jail and one for its files, both below `directory`, to be run once
 * or several times.
 */
export class JobTrial {
  readonly job: Job;
  /** Path of the jail. */
  readonly root: string;
  readonly #directory: string;
  #work = '';

  /** @param root of a jail that is shared with other trials; by default each has its own */
  constructor(job: Job, directory: string, root?: string) {
    this.job = job;
    this.#directory = mkdtempSync(path.join(directory, `${job.name.replace(/\W/g, '-')}-`));
    chmodSync(this.#directory, 0o755);
    this.root = root ?? path.join(this.#directory, 'jail');
    this.prepare();
  }

  /**
   * Creates the directory of the job's files again, so that a second run finds nothing of the
   * first.
   */
  prepare(): void {
    this.#work = path.join(this.#directory, 'work');
    rmSync(this.#work, { recursive: true, force: true });
    mkdirSync(this.#work);
    copyFileSync(BUSYBOX, path.join(this.#work, 'busybox'));
    chmodSync(path.join(this.#work, 'busybox'), 0o755);
    for (const file of this.job.files ?? []) {
      copyFileSync(path.join(FIXTURES, file), path.join(this.#work, file));
    }
    if (this.job.prepare !== undefined) {
      const env = { ...process.env, HOME: this.#work, FIXTURES };
      succeed('sh', ['-ec', this.job.prepare], { cwd: this.#work, env });
    }
    const { uid, gid } = this.#user;
    chownSync(this.#work, uid, gid);
    chmodSync(this.#work, 0o755);
  }

  /** Builds the jail of the job's programs with additional options of `build`. */
  build(options: readonly string[] = []): Finished {
    const programs = this.job.programs.map((program) => this.#placed(program));
    return jailbuild([this.root, ...programs, '--no-sync', ...options]);
  }

  /** Programs that a job creates are in its directory on the host. */
  #placed(text: string): string {
    return text.replaceAll('$WORK', this.#work);
  }

  /** Returns the size of the jail in bytes: regular files, hard links counted once. */
  get size(): number {
    return sizeOf(this.root, new Set());
  }

  /** Options of `run` that the job needs. */
  #runOptions(files: JobFiles): string[] {
    const { uid, gid } = this.#user;
    const place =
      files === 'kept'
        ? ['--bind', `${this.#work}:/w`]
        : ['--mount', `type=overlay,src=${this.#work},dst=/w`];
    return [
      ...[...place, '--workdir', '/w'],
      ...['--network', this.job.display ? 'host' : 'none'],
      ...(uid === 0 ? [] : ['--user', `${uid}:${gid}`]),
    ];
  }

  /** The directory of the job's files, mounted on /w. */
  get work(): string {
    return this.#work;
  }

  /** The directory of the whole trial. */
  get directory(): string {
    return this.#directory;
  }

  /** User and group IDs of the job. */
  get user(): { readonly uid: number; readonly gid: number } {
    return this.#user;
  }

  /** The command that runs in the jail. */
  get command(): string[] {
    return ['/w/busybox', 'timeout', String(TIMEOUT), '/w/busybox', 'sh', '-c', this.#script];
  }

  /** The job, which a signal ends with success if it shows a window. */
  get #script(): string {
    const script = this.#placed(this.job.script);
    return this.job.display
      ? `trap 'kill $!; wait $!; exit 0' TERM; (${script}) & wait $!`
      : script;
  }

  /**
   * Runs the job in its jail.
   *
   * @param launch a way other than `jailbuild run ROOT OPTIONS -- COMMAND`
   */
  async run(
    launch: Launch = (options, command) => ['run', this.root, ...options, '--', ...command],
    files: JobFiles = 'kept',
  ) {
    return this.start(
      (options, command) => [process.execPath, JAILBUILD, ...launch(options, command)],
      files,
    );
  }

  /** As {@link run}, with the complete command line. */
  async start(launch: Launch, files: JobFiles = 'kept') {
    const options = this.#runOptions(files);
    if (this.job.display) return this.#windows(launch, options);
    const output = outputOf(execWords(launch(options, this.command)));
    return { passes: new RegExp(this.job.expect, 'm').test(output), output } satisfies Outcome;
  }

  get #user(): { readonly uid: number; readonly gid: number } {
    const { user } = this.job;
    if (user === undefined) return { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
    return { uid: Number(succeed('id', ['-u', user])), gid: Number(succeed('id', ['-g', user])) };
  }

  /**
   * Runs the job with its own X server, and ends each of its programs once the expected window
   * appears.
   */
  async #windows(launch: Launch, options: readonly string[]): Promise<Outcome> {
    const server = await startServer();
    const display = [
      ...['--bind', '/tmp/.X11-unix:/tmp/.X11-unix', '--env', `DISPLAY=${server.display}`],
    ];
    const [program = '', ...args] = launch([...options, ...display], this.command);
    // A process group, since unshare(1) passes no signals.
    const job = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], detached: true });
    let [tree, passes, output] = ['', false, ''];
    for (const stream of [job.stdout, job.stderr])
      stream.on('data', (part: Buffer) => {
        output += String(part);
      });
    const ended = new Promise((resolve) => job.once('close', resolve));
    try {
      for (let waited = 0; waited < LIMIT && isAlive(job); waited += LOOK_EVERY) {
        await Promise.race([sleep(LOOK_EVERY), ended]);
        const now = exec('xwininfo', ['-root', '-tree', '-display', server.display]).stdout;
        if (new RegExp(this.job.expect, 'm').test(now)) {
          [tree, passes] = [now, true];
          signalGroup(job, 'SIGTERM');
        }
      }
    } finally {
      signalGroup(job, 'SIGKILL');
      await ended;
      await end(server.process);
    }
    return { passes, output: output + tree };
  }
}

function isAlive({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode === null && signalCode === null;
}

function signalGroup(leader: ChildProcess, signal: NodeJS.Signals): void {
  if (leader.pid === undefined || !isAlive(leader)) return;
  process.kill(-leader.pid, signal);
}

/** Starts an X server on the first free display. */
async function startServer(): Promise<{
  readonly display: string;
  readonly process: ChildProcess;
}> {
  const server = spawn(
    'Xvfb',
    ['-displayfd', '1', '-screen', '0', '800x600x24', '-nolisten', 'tcp'],
    {
      stdio: ['ignore', 'pipe', 'ignore'],
    },
  );
  let text = '';
  for await (const part of server.stdout) {
    text += String(part);
    if (text.includes('\n')) break;
  }
  return { display: `:${text.trim()}`, process: server };
}

async function end(child: ChildProcess): Promise<void> {
  if (!isAlive(child)) return;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill();
  await ended;
}

function execWords([program = '', ...args]: readonly string[]): Finished {
  return exec(program, args, { timeout: LIMIT });
}

/** Returns the lines of advice that a build printed. */
export function adviceIn({ stderr }: Finished): string[] {
  return stderr
    .split('\n')
    .filter((line) => /^jailbuild: advice: (?!\d+ more: --verbose$)/.test(line));
}

/** Returns the words that lines of advice suggest adding to the command line. */
export function remediesIn(lines: readonly string[]): string[] {
  return lines.flatMap((line) => /: add (.*)$/.exec(line)?.[1]?.split(' ') ?? []);
}

function outputOf({ stdout, stderr }: Finished): string {
  return stdout + stderr;
}

function sizeOf(directory: string, seen: Set<number>): number {
  let sum = 0;
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    const at = path.join(directory, entry.name);
    if (entry.isDirectory()) sum += sizeOf(at, seen);
    if (!entry.isFile()) continue;
    const { ino, size } = lstatSync(at);
    if (seen.has(ino)) continue;
    seen.add(ino);
    sum += size;
  }
  return sum;
}
