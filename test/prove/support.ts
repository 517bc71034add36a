import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { type ObservedUse, ReportReader } from '../../src/evidence/trace/report.js';
import { exec, PROJECT } from '../support/cli.js';

export const OBSERVER = path.join(PROJECT, `dist/native/linux-${process.arch}/jail_observer`);

export interface Observation {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly uses: readonly ObservedUse[];
  readonly counts: Readonly<Record<string, number>>;
  /** The status in the report; undefined if the report is incomplete. */
  readonly reported: number | undefined;
}

export interface ObserveHow {
  /** Words before the observer, for example to run it as another user. */
  readonly before?: readonly string[];
  readonly options?: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
}

/** Runs a command under the observer itself. */
export function observe(command: readonly string[], how: ObserveHow = {}): Observation {
  const { before = [], options = [], env = process.env } = how;
  const words = [...before, OBSERVER, '--report', '3', ...options, '--', ...command];
  const { status, output } = spawnSync(words[0] ?? '', words.slice(1), {
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
    maxBuffer: 1 << 28,
    timeout: 300_000,
    env,
  });
  const uses: ObservedUse[] = [];
  const reader = new ReportReader((use) => uses.push(use));
  reader.take(output[3] as unknown as Buffer);
  return {
    status,
    stdout: String(output[1]),
    stderr: String(output[2]),
    uses,
    counts: { ...reader.counts() },
    reported: reader.end()?.status,
  };
}

/** Returns the results for a path in order. */
export function resultsOf({ uses }: Observation, at: string): string[] {
  return uses.filter((use) => use.path === at).map(({ use, result }) => `${use} ${result}`);
}

/** Compiles a program of fixtures/observer. */
export function compileUses(
  out: string,
  flags: readonly string[] = ['-static'],
  name = 'uses.c',
): void {
  const source = path.join(PROJECT, 'fixtures/observer', name);
  const { status, stderr } = exec('gcc', [
    ...['-O1', '-Wall', '-Wextra', '-pthread', ...flags, '-o', out, source],
    // The kernel headers of this architecture also suit i386 programs.
    ...['-idirafter', '/usr/include/x86_64-linux-gnu'],
  ]);
  assert.equal(status, 0, stderr);
}
