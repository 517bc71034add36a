// Usage: node code-cache.cjs BUNDLE CACHE
// Runs the bundle's main job once, in a directory of its own, and keeps what V8 compiled for it.
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const Module = require('node:module');
const vm = require('node:vm');

const bundle = path.resolve(process.argv[2]);
const cache = path.resolve(process.argv[3]);
const scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'jailbuild-'));

const script = new vm.Script(Module.wrap(fs.readFileSync(bundle, 'latin1')), { filename: bundle });
process.argv = [process.execPath, bundle, path.join(scratch, 'jail'), 'env'];
process.on('exit', () => {
  // What the job thinks of this machine is no matter of the build's.
  process.exitCode = 0;
  fs.writeFileSync(cache, script.createCachedData());
  fs.rmSync(scratch, { recursive: true, force: true });
});
script.runInThisContext()(
  exports,
  Module.createRequire(bundle),
  module,
  bundle,
  path.dirname(bundle),
);
