import { readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';

const SAMPLES = 10;

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
