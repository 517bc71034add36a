// Builds dist/: the command line as one bundled file with its code cache, the library with its
// declarations, and the native programs.
import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { lazyPackages } from './lazy-packages.mjs';
import { writeLicenses } from './licenses.mjs';
import { buildNative } from './native.mjs';
import { writePublicApi } from './public-api.mjs';

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
const TARGET = 'node20.19';
/** Packages from which files are copied. */
const SHELL_PARSER = ['node_modules/web-tree-sitter', 'node_modules/tree-sitter-bash'];
const SQLITE = 'node_modules/node-sqlite3-wasm';
/** The front is the writer as well, with a main program of its own. */
const FRONT = [
  'src/native/front',
  ...readdirSync(path.join(ROOT, 'src/native/engine'))
    .filter((name) => name.endsWith('.c') && name !== 'main.c')
    .map((name) => `src/native/engine/${name}`),
];

process.chdir(ROOT);
const { dependencies } = JSON.parse(readFileSync('package.json', 'utf8'));
rmSync('dist', { recursive: true, force: true });
mkdirSync('dist');
buildNative('src/native/launcher', 'invoke_ns', 'all but run works');
buildNative('src/native/engine', 'jail_engine', 'jails are written without what Node cannot do');
buildNative(FRONT, 'jailbuild', 'the command is a script, which starts slower');
buildNative('src/native/observer', 'jail_observer', 'nothing can be observed');
buildNative(
  'src/native/seccomp',
  'seccomp_compile',
  'oci-runtime takes no seccomp profiles (libseccomp-dev)',
  ['seccomp'],
);
const cli = await bundleCli();
writeCompletions();
const library = await bundleLibrary();
copyShellParser();
copySqlite();
const copied = [...SHELL_PARSER, SQLITE];
writeLicenses('dist/third-party-licenses.txt', [cli.metafile, library.metafile], copied);
writePublicApi();
writeManual();
copyExecutable('src/native/start.sh', 'dist/invoke_ns');
copyExecutable('src/native/start.sh', 'dist/jailbuild');
copyExecutable('src/native/runtime.sh', 'dist/jailbuild-runtime');
optimize();

/**
 * Bundles the command line as CommonJS: Node compiles a CommonJS script faster than ES modules, and
 * vm.Script, which accepts the code cache, supports only scripts.
 */
async function bundleCli() {
  const result = await build({
    entryPoints: ['src/cli/jailbuild.ts'],
    outfile: 'dist/cli.cjs',
    bundle: true,
    minify: true,
    platform: 'node',
    target: TARGET,
    format: 'cjs',
    define: { 'import.meta.url': 'importMetaUrl' },
    banner: { js: 'const importMetaUrl=require("url").pathToFileURL(__filename).href;' },
    // vm.Script has no import(); require loads lazily too.
    supported: { 'dynamic-import': false },
    plugins: [lazyPackages],
    metafile: true,
    logLevel: 'warning',
  });
  copyExecutable('src/cli/start.cjs', 'dist/jailbuild.cjs');
  execFileSync(
    process.execPath,
    ['src/tooling/code-cache.cjs', 'dist/cli.cjs', `dist/cli.${process.arch}.cache`],
    {
      stdio: 'ignore',
    },
  );
  return result;
}

/**
 * Copies the parser of shell scripts and its grammar as files, which are loaded only for scripts.
 * They are part of the package, since the grammar's own package would compile a Node addon at
 * installation.
 */
function copyShellParser() {
  mkdirSync('dist/shell');
  for (const file of ['web-tree-sitter.cjs', 'web-tree-sitter.wasm']) {
    copyFileSync(`${SHELL_PARSER[0]}/${file}`, `dist/shell/${file}`);
  }
  copyFileSync(`${SHELL_PARSER[1]}/tree-sitter-bash.wasm`, 'dist/shell/tree-sitter-bash.wasm');
}

/** The reader of rpm's databases, which loads its wasm file from its own directory, and only if there is a database. */
function copySqlite() {
  mkdirSync('dist/sqlite');
  copyFileSync(`${SQLITE}/dist/node-sqlite3-wasm.js`, 'dist/sqlite/node-sqlite3-wasm.cjs');
  copyFileSync(`${SQLITE}/dist/node-sqlite3-wasm.wasm`, 'dist/sqlite/node-sqlite3-wasm.wasm');
  chmodSync('dist/sqlite/node-sqlite3-wasm.wasm', 0o644);
}

/** The snapshot that the front starts from: only for the Node that builds, and not packed. */
function optimize() {
  if (!existsSync(`dist/native/linux-${process.arch}/jailbuild`)) return;
  const { status, stderr } = spawnSync(process.execPath, ['dist/jailbuild.cjs', 'optimize'], {
    encoding: 'utf8',
  });
  if (status !== 0) console.error(`${stderr.trim()}: the command starts slower`);
}

/** Writes the completion scripts under the names that each shell expects in its directories. */
function writeCompletions() {
  const names = { bash: 'jailbuild.bash', zsh: '_jailbuild', fish: 'jailbuild.fish' };
  mkdirSync('dist/completions');
  for (const [shell, name] of Object.entries(names)) {
    const script = execFileSync(process.execPath, ['dist/jailbuild.cjs', 'completion', shell]);
    writeFileSync(`dist/completions/${name}`, script);
  }
}

/**
 * Bundles the library. The dependencies in package.json stay external; all other packages are
 * bundled.
 */
async function bundleLibrary() {
  return build({
    entryPoints: ['src/index.ts'],
    outfile: 'dist/index.js',
    bundle: true,
    platform: 'node',
    target: TARGET,
    format: 'esm',
    external: Object.keys(dependencies),
    // Some packages are CommonJS and load Node's modules by require.
    banner: {
      js: "import { createRequire as requireOf } from 'node:module';\nconst require = requireOf(import.meta.url);",
    },
    metafile: true,
    logLevel: 'warning',
  });
}

function writeManual() {
  execFileSync(process.execPath, ['--import', 'tsx', 'src/tooling/manual.ts'], {
    stdio: 'inherit',
  });
}

function copyExecutable(from, to) {
  copyFileSync(from, to);
  chmodSync(to, 0o755);
}
