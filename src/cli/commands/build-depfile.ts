import type { Planned } from '../../jail/build/plan-step.js';
import type { HostState } from '../../jail/record/fingerprint.js';
import { pathsIn } from '../../jail/record/state-blocks.js';
import { targetOf } from '../options/jail-file.js';
import type { Wanted } from '../options/request.js';
import type { Looked, PendingDepfile } from './depfile.js';

/**
 * Prepares the file of `--depfile`; its default target is the manifest, or the jail.
 *
 * @throws JailbuildError USAGE, WRITE_FAILED
 */
export async function prepareRule({ args }: Wanted): Promise<PendingDepfile | undefined> {
  if (args.depfile === undefined && args['depfile-target'] === undefined) return undefined;
  const { prepareDepfile } = await import('./depfile.js');
  const root = targetOf(args.root);
  const outputs = [...(args.manifest === undefined ? [] : [args.manifest]), root];
  return prepareDepfile(args, outputs[0], outputs);
}

/** Writes down the files of the host that a build rests on. */
export async function commitRule(
  rule: PendingDepfile,
  { args, file }: Wanted,
  { request, resolution, manifest, sourceRoot }: Planned,
): Promise<void> {
  const { filesOfImage, lookedAt, sourcesOf } = await import('./depfile.js');
  const { loadProfiles } = await import('../../profile/load.js');
  const profiles = [...(args.profile ?? []), ...(file?.profiles ?? [])];
  const files = [
    ...(args.from === undefined ? [] : [args.from]),
    ...filesOfImage(request.sysrootImage?.reference),
    ...(args.trace ?? []),
    ...(file === undefined ? [] : [file.path, ...file.traces]),
    ...loadProfiles(profiles).map(({ path }) => path),
    ...sourcesOf(manifest.entries, sourceRoot),
  ];
  const ofState = (host: HostState): Looked => ({ root: sourceRoot, ...pathsIn(host) });
  const looked = (): readonly Looked[] => {
    switch (resolution.kind) {
      case 'closure':
        return [lookedAt(resolution.closure.sysroot)];
      case 'recorded':
        return [ofState(resolution.fingerprint.host)];
      case 'remembered':
        return [ofState(resolution.remembered.host)];
      case 'given':
        return [lookedAt(resolution.sources.sysroot)];
    }
  };
  await rule.commit(files, looked());
}
