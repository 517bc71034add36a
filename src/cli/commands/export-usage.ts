import { JailbuildError } from '../../errors.js';
import { type Destination, isContainerImage } from '../../export/destination.js';
import { type ExportLine, IMAGE_OPTIONS, UNIT_OPTIONS } from '../options/export.js';

/**
 * Refuses options that do not apply to a destination.
 *
 * @param toStdout the number of destinations that are standard output
 * @throws JailbuildError USAGE
 */
export function checkUsage(
  args: ExportLine,
  { kind, path: place }: Destination,
  toStdout: number,
): void {
  const usage = (message: string): never => {
    throw new JailbuildError('USAGE', message);
  };
  if (args.json && toStdout > 0) {
    usage('--json prints where the archive goes: name a file in --to');
  }
  if (toStdout > 1) usage('--to: only one archive can go to standard output');
  if (args.cmd !== undefined && args['--'] !== undefined) usage('--cmd and -- cannot be combined');
  const isAttachable = kind === 'oci' || kind === 'oci-archive' || kind === 'docker';
  for (const name of ['attach', 'provenance'] as const) {
    if (args[name] && !isAttachable) {
      usage(`--${name} needs oci, oci-archive or docker://, not ${kind}`);
    }
  }
  if (args['sign-key'] !== undefined && kind !== 'docker') {
    usage(`--sign-key signs what is pushed: give docker://, not ${kind}`);
  }
  if (args['sign-passphrase-file'] !== undefined && args['sign-key'] === undefined) {
    usage('--sign-passphrase-file requires --sign-key');
  }
  if (args.append && kind !== 'oci' && kind !== 'docker') {
    usage(`--append adds to a layout or a registry: --to oci: or docker://, not ${kind}`);
  }
  const isDisk =
    kind === 'squashfs' ||
    kind === 'erofs' ||
    kind === 'ext4' ||
    (kind === 'portable' && place.endsWith('.raw'));
  if (args.verity && !isDisk) usage(`--verity applies to disk images, not to ${kind}`);
  if (isContainerImage({ kind })) return;
  const isAllowed = (name: string) =>
    // With --from-image, --platform selects the source image.
    (name === 'platform' && args['from-image'] !== undefined) ||
    (kind === 'portable' && UNIT_OPTIONS.includes(name));
  const other = IMAGE_OPTIONS.find((name) => args[name] !== undefined && !isAllowed(name));
  if (other !== undefined) usage(`--${other} applies to images, not to ${kind}`);
  if (kind === 'portable') return;
  if (args['--'] !== undefined) usage(`the command after -- applies to images, not to ${kind}`);
}
