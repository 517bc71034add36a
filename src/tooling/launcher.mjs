import { spawnSync } from 'node:child_process';
import path from 'node:path';

/**
 * Compiles the launcher for this machine to dist/native/linux-ARCH/invoke_ns. Without a compiler the
 * rest of jailbuild is still of use: that is told, and no error.
 *
 * @returns {boolean} whether it was made
 */
export function buildLauncher() {
  const missing = ['make', 'cc'].find((tool) => !isThere(tool));
  if (missing !== undefined) {
    console.error(
      `jailbuild: no ${missing} here: the launcher is not built, and all but run works`,
    );
    return false;
  }
  const out = path.resolve(`dist/native/linux-${process.arch}`);
  const { status } = spawnSync('make', ['-s', '-C', 'src/launcher', `OUT=${out}`], {
    stdio: 'inherit',
  });
  if (status !== 0) throw new Error('the launcher does not compile');
  return true;
}

function isThere(tool) {
  return spawnSync(tool, ['--version'], { stdio: 'ignore' }).error === undefined;
}
