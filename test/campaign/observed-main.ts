// Usage: npm run campaign:observed
// Compares what the observer sees of many runs with what strace sees.
import { compareRun, OBSERVED_RUNS } from './observed.js';

let missing = 0;
for (const run of OBSERVED_RUNS) {
  const comparison = compareRun(run);
  missing += comparison.missing.length;
  process.stdout.write(
    `${comparison.expected} uses, ${comparison.missing.length} missing: ${run}\n`,
  );
  for (const use of comparison.missing.slice(0, 10)) process.stdout.write(`  ${use}\n`);
}
process.stdout.write(`${OBSERVED_RUNS.length} runs, ${missing} uses missing\n`);
process.exitCode = missing === 0 ? 0 : 1;
