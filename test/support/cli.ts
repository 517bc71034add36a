import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, symlinkSync } from 'node:fs';
import path from 'node:path';

export const PROJECT = path.resolve(import.meta.dirname, '../..');
export const JAILBUILD = path.join(PROJECT, 'dist/jailbuild.cjs');
export const INVOKE_NS = path.join(PROJECT, 'dist/invoke_ns');

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
}

/** Runs a program to its end, with its output as text. */
export function exec(file: string, args: readonly string[], options: ExecOptions = {}): Finished {
  const { status, signal, stdout, stderr, error } = spawnSync(file, args, {
    encoding: 'utf8',
    maxBuffer: 1 << 28,
    timeout: 120_000,
    ...options,
  });
  if (error !== undefined) throw error;
  return { status, signal, stdout, stderr };
}

/** The output of a program that ends with status 0. */
export function succeed(file: string, args: readonly string[], options: ExecOptions = {}): string {
  const { status, stdout, stderr } = exec(file, args, options);
  assert.equal(status, 0, `${file} ${args.join(' ')}: ${stdout}${stderr}`);
  return stdout;
}

/** Copies the package as it is where no C compiler was: jailbuild without its native programs. */
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
