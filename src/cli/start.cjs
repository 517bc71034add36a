#!/usr/bin/env node
// Loads the bundle with its compiled form. V8 refuses one of another version, and compiles anew.
const { readFileSync } = require('node:fs');
const { createRequire, wrap } = require('node:module');
const { Script } = require('node:vm');

const bundle = `${__dirname}/cli.cjs`;
let cachedData;
try {
  cachedData = readFileSync(`${__dirname}/cli.cache`);
} catch {}
const script = new Script(wrap(readFileSync(bundle, 'latin1')), { filename: bundle, cachedData });
script.runInThisContext()(exports, createRequire(bundle), module, bundle, __dirname);
