import { JailbuildError } from '../../errors.js';
import { type Destination, isContainerImage, STDOUT_PATH } from '../../export/destination.js';
import type { ExportOptions, ExportResult } from '../../export/export.js';
import { isStandardOutput, isStream } from '../../fs/atomic-file.js';
import type { LeftOut } from '../../image/left-out.js';
import type { Entry } from '../../manifest/manifest.js';
import { defineCommand } from '../command.js';
import { EXIT } from '../exit-status.js';
import { Interrupt } from '../interrupt.js';
import { prepareFile } from '../manifest-file.js';
import {
  type ExportArguments,
  exportOptions,
  exportPositionals,
  IMAGE_OPTIONS,
  UNIT_OPTIONS,
} from '../options/export.js';
import { limitsOf } from '../options/limits.js';
import { jsonLine } from '../output/json.js';
import { outputIsTerminal, writeErr, writeOut } from '../output/output.js';
import { formatSize, plural, printable } from '../output/text.js';
import { annotateMessages, warn } from '../report-error.js';
import type { ExportSource } from './export-source.js';

export const exportCommand = defineCommand({
  name: 'export',
  usage: '[what..]',
  summary: 'Write a jail, or programs with everything they need, as an image or an archive',
  description: [
    'A jail is exported as it is, including files that its owner added. Programs need no jail on the ' +
      'disk: they are resolved as in a build and read from the host.',
    'The same files give the same bytes: the output contains no name, path or time of the machine. ' +
      'SOURCE_DATE_EPOCH in the environment limits the times of files.',
  ],
  rest: {
    placeholder: '[command..]',
    describe: 'The command of the image, instead of --cmd',
    complete: 'program',
  },
  positionals: exportPositionals,
  options: exportOptions,
  examples: [
    ['export /var/local/jail --to tar:jail.tar.gz', 'Pack a jail'],
    ['export bash ls --to oci:images:tools -- bash', 'Make an image without a jail on the disk'],
    ['export /srv/jail --to docker-archive:-:jail | docker load', 'Hand an image to Docker'],
    ['export busybox --to cpio:initrd.gz', 'Make an initramfs'],
    ['export /srv/jail --to squashfs:jail.raw --verity', 'Make a disk image with a hash tree'],
  ],
  async run(args) {
    const { findSource } = await import('./export-source.js');
    const source = findSource(args);
    const { destinationOf } = await import('../options/image.js');
    const destination = destinationOf(args, source.file);
    const toStdout = destination.path === STDOUT_PATH || isStandardOutput(destination.path);
    checkUsage(args, destination, toStdout);
    if (toStdout && (await outputIsTerminal())) {
      throw new JailbuildError('USAGE', '--to: refusing to write an archive to a terminal');
    }
    if (args.prove) await proveFirst(args, source);
    if (args.format === 'github') annotateMessages();
    const interrupt = new Interrupt();
    try {
      const result = await exportSource(args, source, destination, interrupt);
      tell(args, result, toStdout);
      return EXIT.ok;
    } catch (error) {
      return interrupt.statusAfter(error, 'nothing was written');
    } finally {
      interrupt.stop();
    }
  },
});

/** Runs the proofs of the jail file in a jail of the same, which is built for that alone. */
async function proveFirst(args: ExportArguments, { file }: ExportSource): Promise<void> {
  const { proofsOf } = await import('../options/proofs.js');
  const options = proofsOf(file, '--prove', false);
  if (file === undefined) return;
  const { jailFileRequest } = await import('../options/request.js');
  const { proveRequest } = await import('../../prove/proofs.js');
  const allowMissing = args['allow-missing'] ?? file.options['allow-missing'] === true;
  await proveRequest(jailFileRequest(file), { ...options, allowMissing });
}

async function exportSource(
  args: ExportArguments,
  source: ExportSource,
  destination: Destination,
  interrupt: Interrupt,
): Promise<ExportReport> {
  const { makeSbom, sbomRequest, UNNAMED } = await import('./sbom-document.js');
  const { exportOptionsOf } = await import('../options/image.js');
  const { exportTree } = await import('../../export/export.js');
  const { nameOfImage } = await import('../../export/destination.js');
  const { file } = source;
  const { path } = destination;
  const beside = path === STDOUT_PATH || isStream(path) ? undefined : path;
  const sbom = sbomRequest(args, beside, file?.image.sbom);
  if (sbom !== undefined && sbom.file === undefined) {
    throw new JailbuildError('USAGE', '--sbom: name its file with --sbom-file');
  }
  const read = await source.read();
  const { warnings, command, environment, sysroot, originOf } = read;
  for (const warning of warnings) warn(warning);
  let { tree } = read;
  if (args['package-database'] === 'auto') {
    const { withPackageDatabase } = await import('../../export/package-database.js');
    const made = await withPackageDatabase(read);
    for (const warning of made.warnings) warn(warning);
    tree = made.tree;
  }
  if (destination.kind === 'portable') {
    const { withUnit } = await import('../options/portable.js');
    tree = await withUnit(args, { ...source, ...read, tree }, path);
  }
  const limits = limitsOf(args);
  if (limits !== undefined) {
    const { refuseExcess } = await import('../../plan/limits.js');
    refuseExcess(tree.entries, limits);
  }
  const chosen = exportOptionsOf(args, file?.image ?? read.image, { command, environment });
  if (chosen.image?.user !== undefined) {
    const { unknownNames } = await import('../../export/image-user.js');
    const unknown = unknownNames(tree, chosen.image.user);
    if (unknown.length > 0)
      warn(`the image has no ${unknown.join(' and no ')}: name it by number, or bring it`);
  }
  const { signal } = interrupt;
  const { registryOptionsOf } = await import('../options/registry.js');
  let options: ExportOptions = { ...chosen, signal, registry: registryOptionsOf(args) };
  if (chosen.layers === 'by-package') {
    const { entryPackages } = await import('../../export/packages.js');
    const { packageOf, warnings: unread } = await entryPackages(read);
    for (const warning of unread) warn(warning);
    options = { ...options, packageOf };
  }
  const { leftOut } = read;
  const told = leftOut === undefined ? {} : { leftOut };
  if (sbom?.file === undefined) {
    interrupt.listen();
    return { ...(await exportTree(tree, destination, options)), ...told };
  }

  const pending = await prepareFile(sbom.file, signal);
  try {
    const title = chosen.image?.labels?.['org.opencontainers.image.title'];
    const name = title ?? nameOfImage(destination) ?? UNNAMED;
    const made = await makeSbom(sbom, name, tree, sysroot, originOf);
    for (const warning of made.warnings) warn(warning);
    // The export fails if a file no longer has the digest of the bill of materials.
    const entries = tree.entries.map((entry): Entry => {
      const digest = made.digests.get(entry.path);
      return entry.type === 'file' && digest !== undefined ? { ...entry, digest } : entry;
    });
    interrupt.listen();
    const result = await exportTree({ ...tree, entries }, destination, options);
    await pending.commit(made.text);
    return { ...result, ...told, sbom: { format: sbom.format, path: sbom.file } };
  } catch (error) {
    await pending.discard();
    throw error;
  }
}

interface ExportReport extends ExportResult {
  readonly sbom?: { readonly format: string; readonly path: string };
  readonly leftOut?: LeftOut;
}

function checkUsage(
  args: ExportArguments,
  { kind, path: place }: Destination,
  toStdout: boolean,
): void {
  const usage = (message: string): never => {
    throw new JailbuildError('USAGE', message);
  };
  if (args.json && toStdout) usage('--json prints where the archive goes: name a file in --to');
  if (args.cmd !== undefined && args['--'] !== undefined) usage('--cmd and -- cannot be combined');
  const isDisk =
    kind === 'squashfs' ||
    kind === 'erofs' ||
    kind === 'ext4' ||
    (kind === 'portable' && place.endsWith('.raw'));
  if (args.verity && !isDisk) usage(`--verity applies to disk images, not to ${kind}`);
  if (isContainerImage({ kind })) return;
  const isAllowed = (name: string) => kind === 'portable' && UNIT_OPTIONS.includes(name);
  const other = IMAGE_OPTIONS.find((name) => args[name] !== undefined && !isAllowed(name));
  if (other !== undefined) usage(`--${other} applies to images, not to ${kind}`);
  if (kind === 'portable') return;
  if (args['--'] !== undefined) usage(`the command behind -- applies to images, not to ${kind}`);
}

function tell(args: ExportArguments, result: ExportReport, toStdout: boolean): void {
  if (args.json) {
    writeOut(jsonLine({ status: 'ok', ...result }));
    return;
  }
  if (args.quiet) return;
  const write = toStdout ? writeErr : writeOut;
  const { format, path, digest, size, entries, image } = result;
  const lines = (image?.layers ?? []).map(
    ({ name, size: bytes, uncompressedSize, digest: layer }) =>
      `  ${layer}  ${formatSize(bytes)} of ${formatSize(uncompressedSize)}  ${printable(name)}`,
  );
  const name = image?.name === undefined ? '' : `:${image.name}`;
  write(
    [
      `Exported ${plural(entries, 'entry', 'entries')}, ${formatSize(size)}, to ${format}:${printable(path)}${name}`,
      ...lines,
      ...(result.leftOut === undefined ? [] : leftOutLines(result.leftOut)),
      `${image === undefined ? 'Digest' : 'Image'} ${digest}`,
      ...(result.verity === undefined ? [] : [`Root hash ${result.verity.rootHash}`]),
      '',
    ].join('\n'),
  );
}

/** Packages that are told, the largest first. */
const TOLD_PACKAGES = 10;

function leftOutLines({ size, leftOut, packages }: LeftOut): string[] {
  const lines = packages
    .slice(0, TOLD_PACKAGES)
    .map((item) => `  ${formatSize(item.size)}  ${printable(item.name ?? 'files of no package')}`);
  const more = packages.length - lines.length;
  return [
    `Left out ${formatSize(leftOut)} of ${formatSize(size)}:`,
    ...lines,
    ...(more > 0 ? [`  and ${plural(more, 'more package', 'more packages')}`] : []),
  ];
}
