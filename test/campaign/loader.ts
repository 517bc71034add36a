// Usage: npm run campaign:loader [-- DIRECTORY...]
// Compares jailbuild's closure of every ELF file on this machine with the list of its own loader.
import { compareWithLoaders } from './differential.js';

const directories = process.argv.slice(2);
const start = performance.now();
const result = await compareWithLoaders(
  directories.length === 0 ? ['/usr', '/opt', '/var/lib'] : directories,
);
for (const { file, ours, theirs } of result.differences) {
  console.log(`\n${file}`);
  if (theirs.error !== undefined) console.log(`  loader: ${theirs.error}`);
  if (ours.error !== undefined) console.log(`  ours:   ${ours.error}`);
  const { found, missing } = theirs;
  for (const line of found) if (!ours.found.includes(line)) console.log(`  loader only: ${line}`);
  for (const line of ours.found) if (!found.includes(line)) console.log(`  ours only:   ${line}`);
  const lists = [missing.join(' '), ours.missing.join(' ')];
  if (lists[0] !== lists[1]) console.log(`  missing: loader ${lists[0]}; ours ${lists[1]}`);
  console.log(`  order equal: ${found.join() === ours.found.join()}`);
}
const seconds = ((performance.now() - start) / 1000).toFixed(1);
console.log(`\n${result.compared} files compared, ${result.names} names, in ${seconds} s`);
for (const [loader, count] of result.byLoader) console.log(`  ${count} by ${loader}`);
for (const [reason, count] of result.passedOver) console.log(`  passed over: ${count} (${reason})`);
console.log(`${result.differences.length} differences`);
if (result.differences.length > 0) process.exitCode = 1;
