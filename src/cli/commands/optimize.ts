import { readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { JailbuildError, strerror } from '../../errors.js';
import { insecureParent } from '../../fs/insecure-parent.js';
import { nativeProgram } from '../../fs/native-program.js';
import { makeTemporaryDirectory } from '../../fs/temporary-directory.js';
import { defineCommand } from '../command.js';
import { EXIT } from '../exit-status.js';
import { jsonLine } from '../output/json.js';
import { writeOut } from '../output/output.js';
import { printable } from '../output/text.js';

/** Programs of the jobs that the snapshot is made from, as far as they are here. */
const PROGRAMS = ['env', 'sh', 'bash', 'ls', 'ps', 'top', 'cat', 'grep'];

const options = {
  remove: { type: 'boolean', describe: 'Remove the snapshots' },
  json: { type: 'boolean', describe: 'Print one JSON result' },
} as const;

export const optimizeCommand = defineCommand({
  name: 'optimize',
  usage: '',
  summary: 'Make later runs start faster',
  description: [
    'Stores the memory of a Node process that has loaded jailbuild, so that later runs start from there. The snapshot is stored in the directory of the package and is valid for the Node that made it, on the same kind of processor. Run this again after an update of Node or jailbuild; until then, runs start as they do without a snapshot.',
  ],
  positionals: {},
  options,
  examples: [
    ['optimize', 'Make the snapshot for the Node on PATH'],
    ['optimize --remove', 'Remove it'],
  ],
  async run({ remove, json }) {
    const dist = packageDirectory();
    const directory = path.join(dist, 'snapshot');
    refuseForeign(dist);
    if (remove) {
      removeAll(directory);
      writeOut(json ? jsonLine({ status: 'ok' }) : `${printable(directory)}: removed\n`);
      return EXIT.ok;
    }
    const snapshot = await makeSnapshot(dist);
    writeOut(json ? jsonLine({ status: 'ok', snapshot }) : `${printable(snapshot)}: made\n`);
    return EXIT.ok;
  },
});

function failed(message: string, file?: string): JailbuildError {
  return new JailbuildError('OPTIMIZE_FAILED', message, file);
}

/** The directory that has the bundle and, beneath it, the front. */
function packageDirectory(): string {
  const { found, expected } = nativeProgram('jailbuild');
  if (found === undefined) {
    throw failed(
      `${expected}: is not built, and only a native front starts from a snapshot; install a C compiler and run npm run build`,
      expected,
    );
  }
  return realpathSync(path.resolve(found, '../../..'));
}

/** What is loaded at every start must be safe from others. */
function refuseForeign(dist: string): void {
  const found = insecureParent(dist);
  if (found !== undefined) {
    throw failed(`${found.path}: ${found.why}, who could change what is started`, found.path);
  }
}

function removeAll(directory: string): void {
  try {
    rmSync(directory, { recursive: true, force: true });
  } catch (error) {
    throw failed(`${directory}: ${strerror(error)}`, directory);
  }
}

/** @returns the snapshot's path */
async function makeSnapshot(dist: string): Promise<string> {
  if (path.basename(process.execPath) !== 'node') {
    throw failed(`${process.execPath}: is not called node, as what the front starts is`);
  }
  const { path: scratch, remove } = makeTemporaryDirectory('jailbuild-');
  try {
    const entry = path.join(scratch, 'entry.cjs');
    writeFileSync(entry, entryScript(path.join(dist, 'cli.cjs'), scratch));
    // Of the version that is running: it may not be the first on PATH.
    const PATH = `${path.dirname(process.execPath)}:${process.env.PATH ?? ''}`;
    const { execa } = await import('execa');
    const {
      failed: hasFailed,
      stdout,
      stderr,
    } = await execa(
      path.join(dist, 'native', `linux-${process.arch}`, 'jailbuild'),
      ['--build-snapshot', entry],
      { env: { PATH, XDG_CACHE_HOME: scratch }, reject: false, stdin: 'ignore' },
    );
    const made = stdout.trim().split('\n').at(-1);
    if (hasFailed || made === undefined) {
      throw failed(`the snapshot could not be made: ${stderr.trim().split('\n').at(-1)}`);
    }
    return made;
  } finally {
    remove();
  }
}

/** Node takes one script, which can load nothing but Node's own modules until the snapshot runs. */
function entryScript(bundle: string, scratch: string): string {
  const jail = path.join(scratch, 'jail');
  const jobs = [
    [jail, ...PROGRAMS],
    [jail, ...PROGRAMS],
    ['update', jail],
    ['check', jail],
    ['remove', jail],
    // With what the first build has found.
    [jail, ...PROGRAMS],
    ['remove', jail],
    // With what the first build has read.
    [jail, ...PROGRAMS, '--terminfo', 'none'],
    ['remove', jail],
    // The packages of the programs, as they are found and as they are kept, and what options add.
    [jail, ...PROGRAMS, '--with-package'],
    ['remove', jail],
    [jail, ...PROGRAMS, '--with-package', '--directory', '/tmp', '--include', '/etc/passwd'],
    ['remove', jail],
    [jail, ...PROGRAMS, '--no-cache', '--no-sync', '--quiet'],
    [jail, ...PROGRAMS, '--no-sync', '--quiet'],
  ];
  const [file, directory] = [JSON.stringify(bundle), JSON.stringify(path.dirname(bundle))];
  return `
const { createRequire, isBuiltin } = require('node:module');
const load = (id) => (isBuiltin(id) ? require(id) : createRequire(${file})(id));
const bundle = { exports: {} };
(function (exports, require, module, __filename, __dirname) {
${readFileSync(bundle, 'utf8')}
})(bundle.exports, load, bundle, ${file}, ${directory});
bundle.exports.prepare(${JSON.stringify(jobs)});
`;
}
