#!/usr/bin/env node
// Loads the bundle with its compiled form. V8 refuses one of another version, and compiles anew. It does not refuse one
// of another architecture, but crashes, so that each has a name of its own.
const { readFileSync } = require('node:fs');
const { createRequire, wrap } = require('node:module');
const { Script } = require('node:vm');

// As "engines" of package.json has it. An older one would fail in words of its own.
const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  console.error(`jailbuild: needs Node 20.19 or later, and this is ${process.versions.node}`);
  process.exit(1);
}

const bundle = `${__dirname}/cli.cjs`;
const script = new Script(wrap(readFileSync(bundle, 'latin1')), {
  filename: bundle,
  cachedData: compiledForm(`${__dirname}/cli.${process.arch}.cache`),
});
script.runInThisContext()(exports, createRequire(bundle), module, bundle, __dirname);
module.exports.start();

// V8 does not look at the checksum of what it takes, and crashes on a damaged one. Ours is at its end.
function compiledForm(file) {
  try {
    const bytes = readFileSync(file);
    const content = bytes.subarray(0, -4);
    const { crc32 } = require('node:zlib');
    return crc32(content) === bytes.readUInt32LE(content.length) ? content : undefined;
  } catch {
    return undefined;
  }
}
