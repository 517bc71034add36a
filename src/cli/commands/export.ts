import { JailbuildError } from '../../errors.js';
import { type Destination, STDOUT_PATH } from '../../export/destination.js';
import type { WrittenExport } from '../../export/result.js';
import { isStandardOutput } from '../../fs/open-output.js';
import type { WorkProgress } from '../../manifest/work.js';
import { defineCommand } from '../command.js';
import { EXIT } from '../exit-status.js';
import { Interrupt } from '../interrupt.js';
import { prepareFile } from '../manifest-file.js';
import { exportOptions, exportPositionals } from '../options/export.js';
import { type ExportReport, reportExport } from '../output/export-text.js';
import { outputIsScreen, outputIsTerminal } from '../output/output.js';
import { showingProgress } from '../output/progress.js';
import { annotateMessages } from '../report-error.js';
import { commitRule, prepareRule } from './export-depfile.js';
import { type PreparedPart, preparePart } from './export-part.js';
import { proveFirst } from './export-proof.js';
import { prepareSbom } from './export-sbom.js';
import type { Part } from './export-source.js';
import { checkUsage } from './export-usage.js';

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
    describe: 'The command of the image; the same as --cmd',
    complete: 'program',
  },
  positionals: exportPositionals,
  options: exportOptions,
  examples: [
    ['export /var/local/jail --to tar:jail.tar.gz', 'Pack a jail'],
    ['export bash ls --to oci:images:tools -- bash', 'Make an image without a jail on the disk'],
    ['export /srv/jail --to docker-archive:-:jail | docker load', 'Load an image into Docker'],
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
        '--to portable adds files to the tree and cannot be combined with another --to: export it separately',
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
      reportExport(args, report, toStdout.length > 0);
      return EXIT.ok;
    } catch (error) {
      return interrupt.statusAfter(error, 'nothing was written');
    } finally {
      interrupt.stop();
    }
  },
});

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
    const skipDigest = (args.quiet ?? false) && !args.json && digestFile === undefined;
    for (const part of parts) {
      const context = { signal, onWork, skipDigest };
      prepared.push(await preparePart(part, sbom, destination, context));
    }
    interrupt.listen();
    const results: WrittenExport[] = [];
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
    return { results: results as [WrittenExport], warnings, ...told, ...written };
  } catch (error) {
    await sbom?.file?.discard();
    await digests?.discard();
    await rule?.discard();
    throw error;
  }
}
