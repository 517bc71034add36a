import path from 'node:path';
import { JailbuildError } from '../../errors.js';
import { defineCommand } from '../command.js';
import { EXIT } from '../exit-status.js';
import { prepareFile } from '../manifest-file.js';
import { imageSourceOptions, refuseIdlePlatform } from '../options/registry.js';
import { resolveOptions } from '../options/resolve.js';
import { jsonLine } from '../output/json.js';
import { writeOut } from '../output/output.js';
import { reportWarnings } from '../report-error.js';

const positionals = {
  before: {
    type: 'string',
    demandOption: true,
    describe: 'Jail, directory, manifest, jail file, image (oci:DIR, docker://NAME...) or program',
    complete: 'file',
  },
  after: {
    type: 'string',
    demandOption: true,
    describe: 'What to compare it with: any of these, or overlay:DIR after `run --overlay DIR`',
    complete: 'file',
  },
} as const;

const options = {
  html: {
    type: 'string',
    requiresArg: true,
    describe: 'Write the comparison to this file as an HTML page',
    placeholder: 'FILE',
    complete: 'file',
  },
  'exit-code': { type: 'boolean', describe: 'Exit with status 3 if there are differences' },
  sysroot: {
    ...resolveOptions.sysroot,
    describe: 'Root of programs, and of the sources of manifests',
  },
  ...imageSourceOptions,
  json: { type: 'boolean', describe: 'Print one JSON result' },
  quiet: { alias: 'q', type: 'boolean', describe: 'Print errors only' },
} as const;

/** What was written to a jail by runs with `--overlay DIR`. */
async function diffOverlay(
  before: string,
  overlay: string,
  args: { html?: string | undefined; json?: boolean | undefined; quiet?: boolean | undefined } & {
    'exit-code'?: boolean | undefined;
  },
): Promise<number> {
  const { changesInOverlay } = await import('../../launcher/overlay-changes.js');
  const { overlayJson, overlayText } = await import('../output/overlay-text.js');
  if (args.html !== undefined)
    throw new JailbuildError('USAGE', '--html does not apply to overlay:DIR');
  const [root, directory] = [path.resolve(before), path.resolve(overlay)];
  const found = await changesInOverlay(root, directory);
  if (args.json) writeOut(overlayJson(root, directory, found));
  else if (!args.quiet) writeOut(overlayText(found));
  return found.changes.length === 0 || !args['exit-code'] ? EXIT.ok : EXIT.drift;
}

export const diffCommand = defineCommand({
  name: 'diff',
  usage: '<before> <after>',
  summary: 'Show how two jails, manifests or images differ',
  description: [
    'Compares paths, types, modes, owners, sizes, link targets, capabilities and content, and reports ' +
      'how packages and their versions differ. Times are not compared. Reasons that differ are listed, ' +
      'if both sides have reasons, but do not count as differences.',
  ],
  positionals,
  options,
  examples: [
    ['diff old.json new.json', 'Show how two manifests differ'],
    ['diff docker://example.org/app:1 docker://example.org/app:2', 'Show how two images differ'],
    ['diff /var/local/jail overlay:changes', 'Show what `run --overlay changes` wrote'],
    ['diff /var/local/jail jail.yaml --exit-code', 'Fail if a jail differs from its jail file'],
  ],
  exits: [['3', 'With --exit-code: there are differences']],
  async run(args) {
    const { contentsOf } = await import('../../report/contents.js');
    const { compareContents } = await import('../../report/compare.js');
    const { readOperand, takesSysroot } = await import('./operand-source.js');
    const { sysroot, ...others } = args;
    if (sysroot !== undefined && ![args.before, args.after].some(takesSysroot)) {
      throw new JailbuildError('USAGE', '--sysroot applies to programs and manifests: name one');
    }
    refuseIdlePlatform(args, [args.before, args.after]);
    const read = async (operand: string) => {
      const isRooted = sysroot !== undefined && takesSysroot(operand);
      const source = await readOperand([operand], isRooted ? { ...others, sysroot } : others);
      return contentsOf(operand, source);
    };
    const overlay = /^overlay:(.+)$/.exec(args.after)?.[1];
    if (overlay !== undefined) return diffOverlay(args.before, overlay, args);
    const pending = args.html === undefined ? undefined : await prepareFile(args.html);
    try {
      const [before, after] = [await read(args.before), await read(args.after)];
      const comparison = compareContents(before, after);
      if (!args.json && !args.quiet) {
        reportWarnings({ missing: [], warnings: [...before.warnings, ...after.warnings] });
      }
      if (pending !== undefined) {
        const { differencePage } = await import('../../report/difference-page.js');
        await pending.commit(await differencePage(comparison));
      }
      const isSame = comparison.changes.length === 0;
      if (args.json) writeOut(jsonLine({ status: isSame ? 'same' : 'different', ...comparison }));
      else if (!args.quiet) {
        const { comparisonText } = await import('../output/comparison-text.js');
        writeOut(comparisonText(comparison));
      }
      return isSame || !args['exit-code'] ? EXIT.ok : EXIT.drift;
    } catch (error) {
      await pending?.discard();
      throw error;
    }
  },
});
