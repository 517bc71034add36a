import { spawnSync } from 'node:child_process';
import path from 'node:path';

/**
 * The machines that the package has programs for, with compilers in order of preference: musl makes
 * smaller and faster static programs than glibc.
 */
const COMPILERS = {
  x64: ['x86_64-linux-musl-gcc', 'x86_64-linux-gnu-gcc'],
  arm64: ['aarch64-linux-musl-gcc', 'aarch64-linux-gnu-gcc'],
};
/** These make programs for the machine they are on. */
const HOST_COMPILERS = ['musl-gcc', 'cc'];

/**
 * Compiles a static C program to dist/native/linux-ARCH/, for this machine and for each other one whose
 * cross compiler is here. Its directory has a Makefile, which is given OUT, the directory to write to,
 * and CC. Without a compiler for this machine the rest of jailbuild is still of use: that is told, and
 * no error.
 *
 * @param {string} directory
 * @param {string} without what does not work without the program, for the message
 * @returns {string[]} the machines it was made for, in the words of process.arch
 */
export function buildNative(directory, without) {
  const make = isThere('make');
  const compilers = make ? compilersHere() : new Map();
  if (!compilers.has(process.arch)) {
    const missing = make ? 'C compiler' : 'make';
    console.error(`jailbuild: no ${missing} here: ${directory} is not built, and ${without}`);
  }
  for (const [arch, compiler] of compilers) {
    const out = path.resolve(`dist/native/linux-${arch}`);
    const { status } = spawnSync('make', ['-s', '-C', directory, `OUT=${out}`, `CC=${compiler}`], {
      stdio: 'inherit',
    });
    if (status !== 0) throw new Error(`${directory} does not compile for ${arch}`);
  }
  return [...compilers.keys()];
}

/** @returns {Map<string, string>} the compiler for each machine that has one here */
function compilersHere() {
  const found = new Map();
  for (const arch of new Set([...Object.keys(COMPILERS), process.arch])) {
    const candidates = [
      ...(arch === process.arch ? HOST_COMPILERS : []),
      ...(COMPILERS[arch] ?? []),
    ];
    const compiler = candidates.find(isThere);
    if (compiler !== undefined) found.set(arch, compiler);
  }
  return found;
}

function isThere(tool) {
  return spawnSync(tool, ['--version'], { stdio: 'ignore' }).error === undefined;
}
