// Usage: node code-cache.cjs BUNDLE CACHE
// Does the bundle's main jobs, in a directory of its own, and keeps what V8 compiled for them.
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const Module = require('node:module');
const v8 = require('node:v8');
const vm = require('node:vm');

const bundle = path.resolve(process.argv[2]);
const cache = path.resolve(process.argv[3]);
const scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'jailbuild-'));
const jail = path.join(scratch, 'jail');
// A new jail, the same again, and an update.
const jobs = [
  [jail, 'env'],
  [jail, 'env'],
  ['update', jail],
];

const script = new vm.Script(Module.wrap(fs.readFileSync(bundle, 'latin1')), { filename: bundle });
// V8 takes only what was compiled under the same flags.
v8.setFlagsFromString = () => {};
const { exit } = process;
// What a job thinks of this machine is no matter of the build's.
process.exit = next;
next();

function next() {
  const words = jobs.shift();
  if (words === undefined) {
    fs.writeFileSync(cache, script.createCachedData());
    fs.rmSync(scratch, { recursive: true, force: true });
    exit(0);
  }
  process.argv = [process.execPath, bundle, ...words];
  script.runInThisContext()(
    exports,
    Module.createRequire(bundle),
    module,
    bundle,
    path.dirname(bundle),
  );
}
