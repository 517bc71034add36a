import { readFileSync } from 'node:fs';

/** State of a process as the kernel reports it (proc_pid_stat(5)). */
export interface ProcessStat {
  /** Its state, as a letter: field 3. */
  readonly letter: string;
  /** Its start time in clock ticks since boot: field 22. */
  readonly start: string;
}

/**
 * Returns the state of a process.
 *
 * @throws the error of the system where the process is gone
 */
export function processStat(pid: number | 'self'): ProcessStat {
  const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // The second field is the program's name, which may contain blanks and parentheses.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return { letter: fields[0] ?? '', start: fields[19] ?? '' };
}
