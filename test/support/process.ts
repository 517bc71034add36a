import { readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { exec } from './cli.js';

/** How long tests wait for what must happen, in milliseconds: long enough for a loaded machine. */
export const PATIENCE = 120_000;

const PAUSE = 20;
const SAMPLES = 10;

/**
 * Waits until a function returns a true value, and returns that value.
 *
 * @param what describes the condition, for the error after two minutes
 */
export async function until<T>(
  find: () => T | Promise<T>,
  what: string | (() => string),
): Promise<Exclude<T, undefined | null | false | '' | 0>> {
  for (const end = Date.now() + PATIENCE; ; await pause(PAUSE)) {
    const isLate = Date.now() > end;
    const found = await find();
    if (found) return found as Exclude<T, undefined | null | false | '' | 0>;
    if (isLate)
      throw new Error(`not within two minutes: ${what instanceof Function ? what() : what}`);
  }
}

/** Returns the PIDs of the processes with this command line, as ps(1) prints it. */
export function running(commandLine: string): number[] {
  const lines = exec('ps', ['-ww', '-e', '-o', 'pid=,args=']).stdout.split('\n');
  return lines.flatMap((line) => {
    const [, pid, args] = /^ *(\d+) (.*)$/.exec(line) ?? [];
    return args === commandLine ? [Number(pid)] : [];
  });
}

/**
 * Waits until a process is idle: it sleeps and has used no processor time in several consecutive
 * samples.
 */
export async function sleeps(pid: number | undefined): Promise<void> {
  let used = '';
  for (let same = 0; same < SAMPLES; ) {
    // The state and, from the 14th field on, the time in user and kernel mode (proc(5)).
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ');
    const now = fields.slice(11, 13).join(' ');
    same = fields[0] === 'S' && now === used ? same + 1 : 0;
    used = now;
    await pause(30);
  }
}
