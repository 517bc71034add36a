// Usage: node code-cache.cjs BUNDLE CACHE
// Runs the bundle's main jobs in a temporary directory and stores the code that V8 compiled for
// them, followed by a CRC-32.
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const Module = require('node:module');
const v8 = require('node:v8');
const vm = require('node:vm');
const { crc32 } = require('node:zlib');

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
// V8 accepts only code compiled with the same flags.
v8.setFlagsFromString = () => {};
script.runInThisContext()(
  exports,
  Module.createRequire(bundle),
  module,
  bundle,
  path.dirname(bundle),
);
compile();

async function compile() {
  try {
    // Warnings of a job about this machine do not concern the build.
    for (const words of jobs) await module.exports.main(words);
  } finally {
    fs.rmSync(scratch, { recursive: true, force: true });
  }
  const content = script.createCachedData();
  const sum = Buffer.alloc(4);
  sum.writeUInt32LE(crc32(content));
  fs.writeFileSync(cache, Buffer.concat([content, sum]));
}
