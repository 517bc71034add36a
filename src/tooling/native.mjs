import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

/** The version of the package, which `--version` of each program prints. */
const { version: VERSION } = JSON.parse(
  readFileSync(new URL('../../package.json', import.meta.url), 'utf8'),
);

/**
 * The machines for which the package has programs, with compilers in order of preference: musl
 * makes smaller and faster static programs than glibc.
 */
const COMPILERS = {
  x64: ['x86_64-linux-musl-gcc', 'x86_64-linux-gnu-gcc'],
  arm64: ['aarch64-linux-musl-gcc', 'aarch64-linux-gnu-gcc'],
};
/** Compilers for the machine they run on. */
const HOST_COMPILERS = ['musl-gcc', 'cc', 'gcc', 'clang'];

const WARNINGS = '-Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes';

/**
 * Compiles C sources to a static program in dist/native/linux-ARCH/, for this machine and for each
 * other one with a cross compiler. Requires only a compiler. A missing program is reported, but is
 * not an error: the rest of jailbuild works without it.
 *
 * @param {string | string[]} sources files, and directories of files
 * @param {string} program its name
 * @param {string} without what does not work without the program, for the message
 * @param {string[]} [libraries] names of libraries, which may be missing too
 */
export function buildNative(sources, program, without, libraries = []) {
  for (const arch of new Set([process.arch, ...Object.keys(COMPILERS)])) {
    const candidates = compilersFor(arch);
    const isOurs = arch === process.arch;
    const out = path.resolve(`dist/native/linux-${arch}/${program}`);
    // An installed compiler may lack the C library for static programs.
    const made = candidates.some((compiler, index) =>
      compileNative(sources, out, compiler, {
        libraries,
        stdio:
          isOurs && libraries.length === 0 && index === candidates.length - 1
            ? 'inherit'
            : 'ignore',
      }),
    );
    if (made || !isOurs) continue;
    const why =
      candidates.length === 0 ? 'no C compiler here' : `${[sources].flat()[0]} does not compile`;
    console.error(`jailbuild: ${why}: ${program} is not built, and ${without}`);
  }
}

/**
 * Compiles C sources to one program.
 *
 * @param {string | string[]} sources files, and directories of files
 * @param {string} out the program's path
 * @param {string} compiler
 * @param {{ flags?: string[], stdio?: 'inherit' | 'ignore', libraries?: string[] }} [options]
 *   `flags` replace -static -O2 -s
 * @returns {boolean} whether it compiles
 */
export function compileNative(sources, out, compiler, options = {}) {
  const { flags = ['-static', '-O2', '-s'], stdio = 'inherit', libraries = [] } = options;
  mkdirSync(path.dirname(out), { recursive: true });
  const { status } = spawnSync(
    compiler,
    [
      '-std=gnu11',
      `-DVERSION="${VERSION}"`,
      '-pthread',
      ...WARNINGS.split(' '),
      ...flags,
      ...kernelHeaders(compiler),
      '-o',
      out,
      ...[sources].flat().flatMap(sourceFiles),
      ...libraries.map((name) => `-l${name}`),
    ],
    { stdio },
  );
  return status === 0;
}

function sourceFiles(source) {
  if (source.endsWith('.c')) return [source];
  const names = readdirSync(source).filter((name) => name.endsWith('.c'));
  return names.sort().map((name) => path.join(source, name));
}

/** Returns the options for the kernel's headers, which musl does not include. */
function kernelHeaders(compiler) {
  if (!compiler.includes('musl')) return [];
  const { stdout } = spawnSync(compiler, ['-dumpmachine'], { encoding: 'utf8' });
  return ['/usr/include', `/usr/include/${stdout.trim()}`].flatMap((at) => ['-idirafter', at]);
}

function compilersFor(arch) {
  const candidates = [...(arch === process.arch ? HOST_COMPILERS : []), ...(COMPILERS[arch] ?? [])];
  return candidates.filter(isThere);
}

function isThere(tool) {
  return spawnSync(tool, ['--version'], { stdio: 'ignore' }).error === undefined;
}
