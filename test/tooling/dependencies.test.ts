import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import path from 'node:path';
import { test } from 'node:test';
import { build } from 'esbuild';
import packageJson from '../../package.json' with { type: 'json' };
import { PROJECT } from '../support/cli.js';

const DIST = path.join(PROJECT, 'dist');
/** Bundled into the command line; users of the library may load them as well. */
const NAMED = ['elf-tools', 'execa', 'fs-extra', 'listr2', 'yargs'];

/** Returns the packages that built files load at run time. */
async function packagesOf(files: readonly string[]): Promise<string[]> {
  const { metafile } = await build({
    entryPoints: [...files],
    bundle: true,
    packages: 'external',
    platform: 'node',
    write: false,
    outdir: DIST,
    metafile: true,
    logLevel: 'error',
  });
  return Object.values(metafile.inputs)
    .flatMap(({ imports }) => imports)
    .filter(({ path: name, external }) => external && !isBuiltin(name))
    .map(({ path: name }) => (/^(@[^/]+\/)?[^/]+/.exec(name) ?? [name])[0]);
}

test('dist loads only declared dependencies, which are the five that the command line contains', async () => {
  const files = readdirSync(DIST, { recursive: true, encoding: 'utf8' }).filter((name) =>
    /\.[cm]?js$/.test(name),
  );
  assert.ok(files.includes('index.js') && files.includes('cli.cjs'), String(files));
  const loaded = await packagesOf(files.map((name) => path.join(DIST, name)));
  assert.deepEqual(
    Object.keys(packageJson.dependencies).sort(),
    [...new Set([...loaded, ...NAMED])].sort(),
  );
});

test('each of the five packages is part of the command line', () => {
  const licenses = readFileSync(path.join(DIST, 'third-party-licenses.txt'), 'utf8');
  for (const name of NAMED) assert.match(licenses, new RegExp(`^# ${name} \\d`, 'm'));
});

test('installing the package runs no script', () => {
  const scripts = Object.keys(packageJson.scripts);
  for (const name of ['preinstall', 'install', 'postinstall', 'prepare']) {
    assert.ok(!scripts.includes(name), name);
  }
});
