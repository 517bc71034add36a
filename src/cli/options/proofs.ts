import { JailbuildError } from '../../errors.js';
import type { JailFile } from '../../profile/jail-file.js';
import type { ProofOptions, ProofResult } from '../../prove/proofs.js';
import { lacksText } from '../output/lacks-text.js';
import { writeErr } from '../output/output.js';
import { printable } from '../output/text.js';
import { withDefaults, withFileOptions } from './jail-file.js';
import { runnable } from './launch.js';
import { type RunArguments, runOptions } from './run.js';

/** Output of a failed proof that is shown, in characters. */
const SHOWN_OUTPUT = 2000;

/**
 * The proofs of a jail file, run as its `run` says, each reported on standard error.
 *
 * @throws JailbuildError USAGE without a jail file that has some
 */
export function proofsOf(file: JailFile | undefined, option: string, quiet: boolean): ProofOptions {
  if (file === undefined || file.proofs.length === 0) {
    const where = file === undefined ? 'a jail file' : file.name;
    throw new JailbuildError(
      'USAGE',
      `${option}: ${where} has no proofs: add some, by \`proofs:\``,
    );
  }
  const args = withFileOptions(withDefaults(runOptions), file.run.options, runOptions);
  return {
    proofs: file.proofs,
    launchIn: (root) => runnable(root, { ...(args as RunArguments), root }).launch,
    onProof: (result) => tellProof(result, quiet),
  };
}

function tellProof(result: ProofResult, quiet: boolean): void {
  const { name, passes, status, output = '' } = result;
  if (passes) {
    if (!quiet) writeErr(`jailbuild: proof ${printable(name)} passed\n`);
    return;
  }
  const shown = output
    .slice(-SHOWN_OUTPUT)
    .split('\n')
    .filter((line) => line !== '');
  writeErr(`jailbuild: proof ${printable(name)} failed with status ${status}\n`);
  for (const line of shown) writeErr(`  | ${printable(line)}\n`);
  writeErr(lacksText({ ...result, added: [] }));
}
