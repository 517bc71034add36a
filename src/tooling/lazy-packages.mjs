import { readFileSync } from 'node:fs';

/**
 * Packages that are costly to load: they make an Intl.Segmenter and large Unicode expressions (13
 * ms each time), which only help texts and live output need, or lists of licenses (4 ms), which only
 * bills of materials need.
 */
const COSTLY =
  /^(string-width|wrap-ansi|strip-ansi|cli-truncate|slice-ansi|spdx-expression-parse)$/;
const NAMESPACE = 'lazy';

/**
 * Replaces the part of node:assert that yargs uses, which creates the standard streams when loaded
 * (5 ms). yargs only checks whether an assertion throws.
 */
const ASSERT = `
const refuse = (yes) => { if (yes) throw new Error('assertion failed'); };
export const strictEqual = (a, b) => refuse(!Object.is(a, b));
export const notStrictEqual = (a, b) => refuse(Object.is(a, b));
`;

/**
 * The file in which yargs reads the terminal width on load, which creates process.stdout (4 ms).
 */
const YARGS_SHIM = /yargs\/lib\/platform-shims\/esm\.mjs$/;

/** Replaces each package by a function that loads it on its first call. */
export const lazyPackages = {
  name: 'lazy-packages',
  setup(build) {
    build.onResolve({ filter: COSTLY }, async ({ path, importer, resolveDir, kind, namespace }) => {
      if (namespace === NAMESPACE) return undefined;
      const found = await build.resolve(path, { importer, resolveDir, kind, namespace: NAMESPACE });
      return { path: found.path, namespace: NAMESPACE };
    });
    build.onResolve({ filter: /^assert$/ }, ({ path, importer }) =>
      /\/yargs\//.test(importer) ? { path, namespace: 'assert' } : undefined,
    );
    build.onLoad({ filter: YARGS_SHIM }, ({ path }) => {
      const source = readFileSync(path, 'utf8');
      const contents = source.replace(/stdColumns: (.*)/, 'get stdColumns() { return $1 }');
      if (contents === source) throw new Error(`${path}: stdColumns is not where it was`);
      return { contents };
    });
    build.onLoad({ filter: /.*/, namespace: 'assert' }, () => ({ contents: ASSERT }));
    build.onLoad({ filter: /.*/, namespace: NAMESPACE }, ({ path }) => ({
      contents: `module.exports = (...args) => {
        const loaded = require(${JSON.stringify(path)});
        return (loaded.default ?? loaded)(...args);
      };`,
      resolveDir: path.slice(0, path.lastIndexOf('/')),
    }));
  },
};
