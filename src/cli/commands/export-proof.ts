import { JailbuildError } from '../../errors.js';
import type { Part } from './export-source.js';

/**
 * Runs proofs in a temporary jail built from the same request.
 *
 * @throws JailbuildError USAGE, and with any code of building and proving
 */
export async function proveFirst({ args, source }: Part): Promise<void> {
  const { givenProofs, proofsOf } = await import('../options/proofs.js');
  const { proveRequest } = await import('../../prove/proofs.js');
  const { file } = source;
  const given = args.proof ?? [];
  if (file === undefined && source.toProve !== undefined) {
    const subject = await source.toProve();
    const options = givenProofs(given, subject, args.quiet ?? false);
    const allowMissing = args['allow-missing'] ?? false;
    await proveRequest(subject.request, { ...options, allowMissing });
    return;
  }
  if (given.length > 0) {
    throw new JailbuildError(
      'USAGE',
      '--proof applies to programs and --from-image: add `proofs:` to a jail file; of a jail, use jailbuild prove',
    );
  }
  const options = proofsOf(file, '--prove', args.quiet ?? false);
  if (file === undefined) return;
  const { jailFileRequest } = await import('../options/request.js');
  const allowMissing = args['allow-missing'] ?? file.options['allow-missing'] === true;
  const request = { ...jailFileRequest(file), ...args.platformRoot };
  const { registryOptionsOf } = await import('../options/registry.js');
  const registry = registryOptionsOf(args);
  await proveRequest(request, { ...options, allowMissing, registry });
}
