import type { Destination } from '../../export/destination.js';
import type { ExportOptions, ExportPart } from '../../export/options.js';
import { ownVariable } from '../../fs/own-environment.js';
import type { Sysroot } from '../../fs/sysroot.js';
import type { LeftOut } from '../../image/left-out.js';
import type { ExportArguments } from '../options/export.js';
import { placed } from '../options/jail-file.js';
import { limitsOf } from '../options/limits.js';
import { warn } from '../report-error.js';
import type { PreparedSbom } from './export-sbom.js';
import type { Part } from './export-source.js';

/** What is exported for one platform, read and checked. */
export interface PreparedPart extends ExportPart {
  readonly sbomText: string | undefined;
  readonly leftOut: LeftOut | undefined;
  readonly warnings: readonly string[];
  readonly sysroot: Sysroot;
}

/**
 * Reads what one platform's image is to hold, warns about what may surprise, and checks limits.
 *
 * @throws JailbuildError with any code of reading the source; LIMIT_EXCEEDED
 */
export async function preparePart(
  { args, source }: Part,
  sbom: PreparedSbom | undefined,
  destination: Destination,
  context: Required<Pick<ExportOptions, 'signal' | 'onWork' | 'skipDigest'>>,
): Promise<PreparedPart> {
  const { exportOptionsOf } = await import('../options/image.js');
  const { registryOptionsOf } = await import('../options/registry.js');
  const read = await source.read();
  const { warnings, command, environment, sysroot, leftOut } = read;
  const shown: string[] = [];
  const reportWarning = (message: string): void => {
    shown.push(message);
    warn(message);
  };
  const { describePrivileged } = await import('../../manifest/privileged-files.js');
  for (const warning of [...warnings, ...describePrivileged(read.tree.entries)]) {
    reportWarning(warning);
  }
  let { tree } = read;
  if (args['package-database'] === 'auto') {
    const { withPackageDatabase } = await import('../../export/package-database.js');
    const made = await withPackageDatabase(read);
    for (const warning of made.warnings) reportWarning(warning);
    tree = made.tree;
  }
  if (destination.kind === 'portable') {
    const { withUnit } = await import('../options/portable.js');
    const made = await withUnit(args, { ...source, ...read, tree }, destination.path);
    for (const warning of made.warnings) reportWarning(warning);
    tree = made.tree;
  }
  const limits = placed(source.file, () => limitsOf(args));
  if (limits !== undefined) {
    const { refuseExcess } = await import('../../plan/limits.js');
    refuseExcess(tree.entries, limits);
  }
  const image = source.file?.image ?? read.image;
  const chosen = exportOptionsOf(args, image, { command, environment });
  if (chosen.image?.user !== undefined) {
    const { unknownNames } = await import('../../export/image-user.js');
    const unknown = unknownNames(tree, chosen.image.user);
    if (unknown.length > 0)
      reportWarning(`the image has no ${unknown.join(' and no ')}: name it by number, or bring it`);
  }
  let options: ExportOptions = {
    ...chosen,
    ...context,
    registry: registryOptionsOf({ ...args }),
  };
  if (chosen.layers === 'by-package') {
    const { entryPackages } = await import('../../export/packages.js');
    const { packageOf, warnings: unread } = await entryPackages(read);
    for (const warning of unread) reportWarning(warning);
    options = { ...options, packageOf };
  }
  if (args['sign-key'] !== undefined) {
    options = { ...options, signingKey: await signingKeyOf(args['sign-key'], args) };
  }
  const part = { leftOut, sysroot, warnings: shown };
  if (sbom === undefined && !args.provenance) {
    return { tree, options, ...part, sbomText: undefined };
  }
  const { documentTree, UNNAMED } = await import('../../sbom/make-sbom.js');
  const { nameOfImage } = await import('../../export/destination.js');
  const title = chosen.image?.labels?.['org.opencontainers.image.title'];
  const documented = await documentTree(
    { ...read, tree },
    {
      name: title ?? nameOfImage(destination) ?? UNNAMED,
      sbom: sbom && { format: sbom.request.format, isAttached: sbom.isAttached },
      provenance: args.provenance ?? false,
      onWork: context.onWork,
    },
  );
  for (const warning of documented.warnings) reportWarning(warning);
  const { attachmentsOf, sbomText } = documented;
  return { tree: documented.tree, options: { ...options, attachmentsOf }, ...part, sbomText };
}

/** Bytes of a passphrase. */
const MAX_PASSPHRASE = 4096;

async function signingKeyOf(file: string, args: ExportArguments) {
  const { readSigningKey } = await import('../../export/signature.js');
  const { readTextFile } = await import('../../fs/read-text.js');
  const from = args['sign-passphrase-file'];
  const passphrase =
    from === undefined
      ? (ownVariable('COSIGN_PASSWORD') ?? '')
      : readTextFile(from, MAX_PASSPHRASE).replace(/\r?\n$/, '');
  return readSigningKey(file, passphrase);
}
