import { readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';

/** Waits until a process has a handler for a signal, so that it does not just end by it. */
export async function handlesSignal(pid: number | undefined, signal: number): Promise<void> {
  for (;;) {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    const [, caught = '0'] = /^SigCgt:\s*([0-9a-f]+)$/m.exec(status) ?? [];
    if ((BigInt(`0x${caught}`) >> BigInt(signal - 1)) & 1n) return;
    await pause(10);
  }
}
