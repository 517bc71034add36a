// Usage: npm run campaign:kill [-- POINTS [SEED [script|front]]]
// Kills builds, extensions, updates and removals in progress, and checks what they leave. Run as
// root, after npm run build.
import { mkdtempSync, rmSync, writeSync } from 'node:fs';
import { type KillPoint, killAtWork } from './kill.js';

const [points = '400', seed = '1', by = 'script'] = process.argv.slice(2);
const started = by === 'front' ? 'front' : 'script';
delete process.env.NODE_EXTRA_CA_CERTS;
const scratch = mkdtempSync('/srv/jailbuild-kill-');
const start = performance.now();

/** Prints at once what came of a point, so that an interrupted campaign still shows it. */
function printPoint({ scenario, call, count, victim, left, failures }: KillPoint): void {
  const lines = [
    `${scenario}, ${call} ${count}, ${victim} killed: ${left}`,
    ...failures.map((failure) => `  FAILED ${failure}`),
  ];
  writeSync(1, `${lines.join('\n')}\n`);
}

try {
  const results = await killAtWork(scratch, Number(points), Number(seed), started, printPoint);
  for (const { name, killed, finished, failures, ...left } of results) {
    console.log(
      `${name}: ${killed} killed (then ${left.old} old, ${left.partly} partly new, ${left.new} new), ${finished} ended before; ${failures.length} failures`,
    );
    for (const failure of failures.slice(0, 10)) console.log(`  ${failure}`);
    if (failures.length > 0) process.exitCode = 1;
  }
  console.log(`${((performance.now() - start) / 1000).toFixed(1)} s`);
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
