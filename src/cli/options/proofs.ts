import { JailbuildError } from '../../errors.js';
import type { ResolveRequest } from '../../manifest/request.js';
import type { JailFile } from '../../profile/jail-file.js';
import { endText } from '../../prove/outcome.js';
import type { ProofOptions, ProofResult } from '../../prove/proofs.js';
import { lacksText } from '../output/lacks-text.js';
import { writeErr } from '../output/output.js';
import { printable } from '../output/text.js';
import { words } from './image.js';
import { withDefaults, withFileOptions } from './jail-file.js';
import { runnable } from './launch.js';
import { type RunArguments, runOptions } from './run.js';

/** Characters of output shown of a failed proof. */
const SHOWN_OUTPUT = 2000;

/**
 * Returns the proofs of a jail file, run as its `run` says. Each is reported on standard error.
 *
 * @throws JailbuildError USAGE without a jail file that has some
 */
export function proofsOf(file: JailFile | undefined, option: string, quiet: boolean): ProofOptions {
  if (file === undefined || file.proofs.length === 0) {
    const where = file === undefined ? 'a jail file' : file.name;
    throw new JailbuildError(
      'USAGE',
      `${option}: ${where} has no proofs: list them under \`proofs:\``,
    );
  }
  const args = withFileOptions(withDefaults(runOptions), file.run.options, runOptions);
  return {
    proofs: file.proofs,
    launchIn: (root) => runnable(root, { ...(args as RunArguments), root }).launch,
    onProof: (result) => reportProof(result, quiet),
  };
}

/** A root in which commands are proven without a jail file. */
export interface ProofSubject {
  readonly request: ResolveRequest;
  /** The command of an image; empty for programs. */
  readonly command: readonly string[];
  /** Options of `run`. */
  readonly run: Pick<Partial<RunArguments>, 'env' | 'user' | 'workdir'>;
}

/**
 * Returns the proofs of a command line; without any, the command of the image. Each is reported on
 * standard error.
 *
 * @param proofs words, or JSON arrays of words
 * @throws JailbuildError USAGE
 */
export function givenProofs(
  proofs: readonly string[],
  { command, run }: ProofSubject,
  quiet: boolean,
): ProofOptions {
  const commands = proofs.length > 0 ? proofs.map((text) => words('proof', text)) : [command];
  if (commands.some(({ length }) => length === 0)) {
    throw new JailbuildError('USAGE', '--prove: there is no command to prove: give --proof');
  }
  const none = withDefaults(runOptions) as RunArguments;
  return {
    proofs: commands.map((some) => ({ name: some.join(' '), command: some })),
    launchIn: (root) => runnable(root, { ...none, ...run, root }).launch,
    onProof: (result) => reportProof(result, quiet),
  };
}

function reportProof(result: ProofResult, quiet: boolean): void {
  const { name, passes, output = '' } = result;
  if (passes) {
    if (!quiet) writeErr(`jailbuild: proof ${printable(name)} passed\n`);
    return;
  }
  const shown = output
    .slice(-SHOWN_OUTPUT)
    .split('\n')
    .filter((line) => line !== '');
  writeErr(`jailbuild: proof ${printable(name)} ${endText(result)}\n`);
  for (const line of shown) writeErr(`  | ${printable(line)}\n`);
  writeErr(lacksText({ ...result, added: [] }));
}
