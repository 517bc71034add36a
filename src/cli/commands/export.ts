import { JailbuildError } from '../../errors.js';
import { type Destination, isContainerImage, STDOUT_PATH } from '../../export/destination.js';
import type { ExportOptions, ExportPart, ExportResult } from '../../export/export.js';
import type { StoredLayer } from '../../export/image.js';
import { isStandardOutput, isStream } from '../../fs/atomic-file.js';
import type { Sysroot } from '../../fs/sysroot.js';
import type { LeftOut } from '../../image/left-out.js';
import { platformName } from '../../image/platform.js';
import type { Entry } from '../../manifest/manifest.js';
import type { WorkProgress } from '../../manifest/work.js';
import type { JailFile } from '../../profile/jail-file.js';
import { defineCommand } from '../command.js';
import { EXIT } from '../exit-status.js';
import { Interrupt } from '../interrupt.js';
import { type PendingFile, prepareFile } from '../manifest-file.js';
import {
  type ExportArguments,
  type ExportLine,
  exportOptions,
  exportPositionals,
  IMAGE_OPTIONS,
  UNIT_OPTIONS,
} from '../options/export.js';
import { limitsOf } from '../options/limits.js';
import { jsonLine } from '../output/json.js';
import { outputIsScreen, outputIsTerminal, writeErr, writeOut } from '../output/output.js';
import { showingProgress } from '../output/progress.js';
import { formatSize, plural, printable } from '../output/text.js';
import { annotateMessages, warn } from '../report-error.js';
import type { PendingDepfile } from './depfile.js';
import type { ExportSource } from './export-source.js';
import type { SbomRequest } from './sbom-document.js';

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
  async run(line) {
    const { findSource } = await import('./export-source.js');
    const { destinationsOf, partsOf } = await import('../options/image.js');
    const given = await partsOf(line);
    const parts = given.map((args) => ({ args, source: findSource(args) }));
    const [{ args, source }] = parts as [Part];
    const destinations = destinationsOf(line.to, source.file);
    const toStdout = destinations.filter(
      ({ path }) => path === STDOUT_PATH || isStandardOutput(path),
    );
    for (const destination of destinations) checkUsage(line, destination, toStdout.length);
    if (destinations.length > 1 && destinations.some(({ kind }) => kind === 'portable')) {
      throw new JailbuildError(
        'USAGE',
        '--to portable: adds files of its own: export it without another --to',
      );
    }
    if (toStdout.length > 0 && (await outputIsTerminal())) {
      throw new JailbuildError('USAGE', '--to: refusing to write an archive to a terminal');
    }
    if (args.prove || args.proof !== undefined) {
      for (const part of parts) await proveFirst(part);
    }
    if (args.format === 'github') annotateMessages();
    const interrupt = new Interrupt();
    const isShown = !args.quiet && !args.json && toStdout.length === 0 && (await outputIsScreen());
    try {
      const report = await showingProgress(isShown, (onWork) =>
        exportSources(parts as [Part], destinations, interrupt, onWork),
      );
      tell(args, report, toStdout.length > 0);
      return EXIT.ok;
    } catch (error) {
      return interrupt.statusAfter(error, 'nothing was written');
    } finally {
      interrupt.stop();
    }
  },
});

/** What is exported for one platform. */
interface Part {
  readonly args: ExportArguments;
  readonly source: ExportSource;
}

/** Runs proofs in a jail of the same, which is built for that alone. */
async function proveFirst({ args, source }: Part): Promise<void> {
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

async function exportSources(
  parts: readonly [Part, ...Part[]],
  destinations: readonly [Destination, ...Destination[]],
  interrupt: Interrupt,
  onWork: (progress: WorkProgress) => void,
): Promise<ExportReport> {
  const { exportParts } = await import('../../export/export.js');
  const [{ args }] = parts;
  const [destination] = destinations;
  const { signal } = interrupt;
  const digestFile = args['digest-file'];
  const digests = digestFile === undefined ? undefined : await prepareFile(digestFile, signal);
  const sbom = await prepareSbom(parts, destinations, signal);
  const rule = await prepareRule(args, destinations);
  try {
    const prepared: PreparedPart[] = [];
    for (const part of parts) {
      prepared.push(await preparePart(part, sbom, destination, { signal, onWork }));
    }
    interrupt.listen();
    const results: ExportResult[] = [];
    for (const one of destinations) {
      results.push(await exportParts(prepared as [PreparedPart], one));
    }
    const [{ sbomText, leftOut }] = prepared as [PreparedPart];
    if (sbomText !== undefined) await sbom?.file?.commit(sbomText);
    if (rule !== undefined) await commitRule(rule, parts, prepared);
    await digests?.commit(results.map(({ digest }) => `${digest}\n`).join(''));
    const written =
      sbom?.request.file === undefined
        ? {}
        : { sbom: { format: sbom.request.format, path: sbom.request.file } };
    const told = leftOut === undefined ? {} : { leftOut };
    const warnings = prepared.flatMap((part) => part.warnings);
    return { results: results as [ExportResult], warnings, ...told, ...written };
  } catch (error) {
    await sbom?.file?.discard();
    await digests?.discard();
    await rule?.discard();
    throw error;
  }
}

async function prepareRule(args: ExportArguments, destinations: readonly Destination[]) {
  if (args.depfile === undefined && args['depfile-target'] === undefined) return undefined;
  const { prepareDepfile } = await import('./depfile.js');
  const files = destinations.flatMap(({ kind, path }) =>
    path === STDOUT_PATH || kind === 'docker' ? [] : [kind === 'oci' ? `${path}/index.json` : path],
  );
  const digestFile = args['digest-file'];
  const all = digestFile === undefined ? files : [digestFile, ...files];
  return prepareDepfile(args, all[0], all);
}

/** Writes down the files of the host that an export rests on. */
async function commitRule(
  rule: PendingDepfile,
  parts: readonly Part[],
  prepared: readonly PreparedPart[],
): Promise<void> {
  const { filesOfImage, lookedAt, sourcesOf } = await import('./depfile.js');
  const { loadProfiles } = await import('../../profile/load.js');
  const files = parts.flatMap(({ args, source: { file } }) => [
    ...(args.from === undefined ? [] : [args.from]),
    ...filesOfImage(args['from-image']),
    ...filesOfImage((args.platformRoot ?? args).sysrootImage?.reference),
    ...filesOfImage(rootOfFile(file)),
    ...(args.trace ?? []),
    ...(file === undefined ? [] : [file.path, ...file.traces]),
    ...loadProfiles([...(args.profile ?? []), ...(file?.profiles ?? [])]).map(({ path }) => path),
  ]);
  const sources = prepared.flatMap(({ tree }) => sourcesOf(tree.entries, tree.sourceRoot));
  await rule.commit(
    [...files, ...sources],
    prepared.map(({ sysroot }) => lookedAt(sysroot)),
  );
}

/** The root that a jail file names. */
function rootOfFile(file: JailFile | undefined): string | undefined {
  const root = file?.options.sysroot;
  return typeof root === 'string' ? root : undefined;
}

interface PreparedSbom {
  readonly request: SbomRequest;
  readonly file: PendingFile | undefined;
  readonly isAttached: boolean;
}

async function prepareSbom(
  parts: readonly [Part, ...Part[]],
  destinations: readonly [Destination, ...Destination[]],
  signal: AbortSignal,
): Promise<PreparedSbom | undefined> {
  const { sbomRequest } = await import('./sbom-document.js');
  const [{ args, source }] = parts;
  const [{ path, kind }] = destinations;
  const isFile = path !== STDOUT_PATH && kind !== 'docker' && !isStream(path);
  const isRegistry = destinations.every((one) => one.kind === 'docker');
  const isAttached = args.attach ?? (isRegistry && args['sbom-file'] === undefined);
  const isBeside = isFile && destinations.length === 1 && parts.length === 1 && !isAttached;
  const request = sbomRequest(args, isBeside ? path : undefined, source.file?.image.sbom);
  if (request === undefined) {
    if (!args.attach) return undefined;
    throw new JailbuildError('USAGE', '--attach requires --sbom');
  }
  if (request.file === undefined) {
    if (isAttached) return { request, file: undefined, isAttached };
    throw new JailbuildError('USAGE', '--sbom: name its file with --sbom-file, or --attach it');
  }
  if (parts.length > 1) {
    const why = 'each platform has a bill of materials of its own: --attach them';
    throw new JailbuildError('USAGE', `--sbom-file: ${why}`);
  }
  return { request, file: await prepareFile(request.file, signal), isAttached };
}

interface PreparedPart extends ExportPart {
  readonly sbomText: string | undefined;
  readonly leftOut: LeftOut | undefined;
  readonly warnings: readonly string[];
  readonly sysroot: Sysroot;
}

/** Reads what one platform's image is to hold, and checks it. */
async function preparePart(
  { args, source }: Part,
  sbom: PreparedSbom | undefined,
  destination: Destination,
  { signal, onWork }: Required<Pick<ExportOptions, 'signal' | 'onWork'>>,
): Promise<PreparedPart> {
  const { exportOptionsOf } = await import('../options/image.js');
  const { registryOptionsOf } = await import('../options/registry.js');
  const read = await source.read();
  const { warnings, command, environment, sysroot, originOf, leftOut } = read;
  const shown: string[] = [];
  const tellWarning = (message: string): void => {
    shown.push(message);
    warn(message);
  };
  const { describePrivileged } = await import('../../manifest/privileged-files.js');
  for (const warning of [...warnings, ...describePrivileged(read.tree.entries)]) {
    tellWarning(warning);
  }
  let { tree } = read;
  if (args['package-database'] === 'auto') {
    const { withPackageDatabase } = await import('../../export/package-database.js');
    const made = await withPackageDatabase(read);
    for (const warning of made.warnings) tellWarning(warning);
    tree = made.tree;
  }
  if (destination.kind === 'portable') {
    const { withUnit } = await import('../options/portable.js');
    tree = await withUnit(args, { ...source, ...read, tree }, destination.path);
  }
  const limits = limitsOf(args);
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
      tellWarning(`the image has no ${unknown.join(' and no ')}: name it by number, or bring it`);
  }
  let options: ExportOptions = {
    ...chosen,
    signal,
    onWork,
    registry: registryOptionsOf({ ...args }),
  };
  if (chosen.layers === 'by-package') {
    const { entryPackages } = await import('../../export/packages.js');
    const { packageOf, warnings: unread } = await entryPackages(read);
    for (const warning of unread) tellWarning(warning);
    options = { ...options, packageOf };
  }
  if (args['sign-key'] !== undefined) {
    options = { ...options, signingKey: await signingKeyOf(args['sign-key'], args) };
  }
  const part = { leftOut, sysroot, warnings: shown };
  if (sbom === undefined && !args.provenance) {
    return { tree, options, ...part, sbomText: undefined };
  }
  const { makeSbom, UNNAMED } = await import('./sbom-document.js');
  const { nameOfImage } = await import('../../export/destination.js');
  const { attachmentsFor } = await import('./attachments.js');
  const title = chosen.image?.labels?.['org.opencontainers.image.title'];
  const name = title ?? nameOfImage(destination) ?? UNNAMED;
  let sbomText: string | undefined;
  if (sbom !== undefined) {
    const made = await makeSbom(sbom.request, name, tree, sysroot, originOf, onWork);
    for (const warning of made.warnings) tellWarning(warning);
    sbomText = made.text;
    // The export fails if a file no longer has the digest of the bill of materials.
    const entries = tree.entries.map((entry): Entry => {
      const digest = made.digests.get(entry.path);
      return entry.type === 'file' && digest !== undefined ? { ...entry, digest } : entry;
    });
    tree = { ...tree, entries };
  }
  if (args.provenance) {
    const { addDigests } = await import('../../manifest/digest.js');
    tree = await addDigests(tree, tree.sourceRoot, onWork);
  }
  const attachmentsOf = attachmentsFor({
    name,
    entries: tree.entries,
    sbom: sbom?.isAttached ? { format: sbom.request.format, text: sbomText ?? '' } : undefined,
    isProven: args.provenance ?? false,
    image: read.from,
  });
  return { tree, options: { ...options, attachmentsOf }, ...part, sbomText };
}

async function signingKeyOf(file: string, args: ExportArguments) {
  const { readSigningKey } = await import('../../export/signature.js');
  const { readTextFile } = await import('../../fs/read-text.js');
  const from = args['sign-passphrase-file'];
  const passphrase =
    from === undefined
      ? (process.env.COSIGN_PASSWORD ?? '')
      : readTextFile(from, MAX_PASSPHRASE).replace(/\r?\n$/, '');
  return readSigningKey(file, passphrase);
}

interface ExportReport {
  /** One for each destination. */
  readonly results: readonly [ExportResult, ...ExportResult[]];
  readonly sbom?: { readonly format: string; readonly path: string };
  readonly leftOut?: LeftOut;
  readonly warnings: readonly string[];
}

function checkUsage(args: ExportLine, { kind, path: place }: Destination, toStdout: number): void {
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
    // Of an image as a source, it says which one.
    (name === 'platform' && args['from-image'] !== undefined) ||
    (kind === 'portable' && UNIT_OPTIONS.includes(name));
  const other = IMAGE_OPTIONS.find((name) => args[name] !== undefined && !isAllowed(name));
  if (other !== undefined) usage(`--${other} applies to images, not to ${kind}`);
  if (kind === 'portable') return;
  if (args['--'] !== undefined) usage(`the command behind -- applies to images, not to ${kind}`);
}

function tell(args: ExportArguments, report: ExportReport, toStdout: boolean): void {
  const { results, ...rest } = report;
  if (args.json) {
    const outputs = results.length === 1 ? {} : { outputs: results };
    writeOut(jsonLine({ status: 'ok', ...results[0], ...rest, ...outputs }));
    return;
  }
  if (args.quiet) return;
  const write = toStdout ? writeErr : writeOut;
  const [first, ...others] = results.map(resultLines);
  const leftOut = report.leftOut === undefined ? [] : leftOutLines(report.leftOut);
  const [head = '', ...tail] = first ?? [];
  write([head, ...leftOut, ...tail, ...others.flat(), ''].join('\n'));
}

function resultLines({
  format,
  path,
  digest,
  size,
  entries,
  image,
  index,
  verity,
}: ExportResult): string[] {
  const named = image ?? index;
  const name = named?.name === undefined ? '' : `:${named.name}`;
  const layerLine = ({ name: of, size: bytes, uncompressedSize, digest: layer }: StoredLayer) =>
    `  ${layer}  ${formatSize(bytes)} of ${formatSize(uncompressedSize)}  ${printable(of)}`;
  const count = plural(entries, 'entry', 'entries');
  const separator = format === 'docker' ? '://' : ':';
  return [
    `Exported ${count}, ${formatSize(size)}, to ${format}${separator}${printable(path)}${name}`,
    ...(image?.layers ?? []).map(layerLine),
    ...(index?.images ?? []).flatMap(({ platform, digest: manifest, layers }) => [
      `  ${manifest}  ${platformName(platform)}`,
      ...layers.map((layer) => `  ${layerLine(layer)}`),
    ]),
    `${image !== undefined ? 'Image' : index !== undefined ? 'Index' : 'Digest'} ${digest}`,
    ...(verity === undefined ? [] : [`Root hash ${verity.rootHash}`]),
  ];
}

/** Bytes of a passphrase. */
const MAX_PASSPHRASE = 4096;

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
