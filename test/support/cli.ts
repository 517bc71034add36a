import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, cpSync, mkdtempSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

export const PROJECT = path.resolve(import.meta.dirname, '../..');
/** The built package in a place that every user can access, as if it were installed. */
const PACKAGE = isReachable(PROJECT) ? PROJECT : copyPackage();
export const JAILBUILD = path.join(PACKAGE, 'dist/jailbuild.cjs');
export const INVOKE_NS = path.join(PACKAGE, 'dist/invoke_ns');

/** Whether users other than root can access the path; not below /root, for example. */
function isReachable(directory: string): boolean {
  if (process.getuid?.() !== 0) return true;
  for (let at = directory; at !== '/'; at = path.dirname(at)) {
    if ((statSync(at).mode & 0o001) === 0) return false;
  }
  return true;
}

function copyPackage(): string {
  const copy = mkdtempSync(path.join(tmpdir(), 'jailbuild-package-'));
  chmodSync(copy, 0o755);
  process.on('exit', () => rmSync(copy, { recursive: true, force: true }));
  // The only package that the bundle does not contain.
  const external = 'node_modules/node-sqlite3-wasm';
  for (const name of ['dist', 'templates', 'package.json', external]) {
    cpSync(path.join(PROJECT, name), path.join(copy, name), { recursive: true });
  }
  return copy;
}

export interface Finished {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface ExecOptions {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly input?: string;
  /** Milliseconds. */
  readonly timeout?: number;
}

/** Runs a program to its end, and returns its output as text. */
export function exec(file: string, args: readonly string[], options: ExecOptions = {}): Finished {
  const { status, signal, stdout, stderr, error } = spawnSync(file, args, {
    encoding: 'utf8',
    maxBuffer: 1 << 28,
    timeout: 300_000,
    ...options,
  });
  if (error !== undefined) throw error;
  return { status, signal, stdout, stderr };
}

/** Returns the output of a program that must succeed. */
export function succeed(file: string, args: readonly string[], options: ExecOptions = {}): string {
  const { status, stdout, stderr } = exec(file, args, options);
  assert.equal(status, 0, `${file} ${args.join(' ')}: ${stdout}${stderr}`);
  return stdout;
}

/** Copies the package without its native programs, as if no C compiler had been available. */
export function withoutNative(directory: string): string {
  const copy = path.join(directory, 'package');
  cpSync(path.join(PROJECT, 'dist'), path.join(copy, 'dist'), {
    recursive: true,
    filter: (source) => path.basename(source) !== 'native',
  });
  symlinkSync(path.join(PROJECT, 'templates'), path.join(copy, 'templates'));
  return path.join(copy, 'dist/jailbuild.cjs');
}

/** Runs the built command line. */
export function jailbuild(args: readonly string[], options: ExecOptions = {}): Finished {
  return exec(process.execPath, [JAILBUILD, ...args], options);
}

export interface Running {
  readonly pid: number | undefined;
  readonly finished: Promise<Finished>;
}

/** Starts the built command line asynchronously, so that this process can serve it. */
export function startJailbuild(args: readonly string[], options: ExecOptions = {}): Running {
  const child = spawn(process.execPath, [JAILBUILD, ...args], options);
  const output = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (text: string) => {
      output[name] += text;
    });
  }
  const finished = new Promise<Finished>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (status, signal) => resolve({ status, signal, ...output }));
  });
  return { pid: child.pid, finished };
}
