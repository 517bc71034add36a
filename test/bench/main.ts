// Usage: [BENCH_ROUNDS=N] npm run bench [-- NAME...]
// Measures jailbuild and its peers. Run as root, after npm run build, on an otherwise idle machine.
import { benchAdvice } from './advice.js';
import { benchBuild, benchBuildAll } from './build.js';
import { benchExport } from './export.js';
import { benchKeep, benchKeepAll } from './keep.js';
import { benchLaunch } from './launch.js';
import { benchObserve } from './observe.js';
import { benchReport } from './report.js';
import { benchResolve } from './resolve.js';
import { benchSizes } from './sizes.js';
import { benchTrees } from './trees.js';

const BENCHES: Readonly<Record<string, () => Promise<void>>> = {
  advice: benchAdvice,
  build: benchBuild,
  'build-all': benchBuildAll,
  export: benchExport,
  keep: benchKeep,
  'keep-all': benchKeepAll,
  launch: benchLaunch,
  observe: benchObserve,
  report: benchReport,
  sizes: benchSizes,
  resolve: benchResolve,
  trees: benchTrees,
};

const names = process.argv.slice(2);
for (const name of names.length === 0 ? Object.keys(BENCHES) : names) {
  const bench = BENCHES[name];
  if (bench === undefined) throw new Error(`no bench ${name}; there are ${Object.keys(BENCHES)}`);
  await bench();
}
