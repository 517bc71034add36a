import { JailbuildError } from '../../errors.js';
import type { UnusedFiles } from '../../manifest/unused-files.js';
import { defineCommand } from '../command.js';
import { EXIT } from '../exit-status.js';
import { prepareFile } from '../manifest-file.js';
import { exportOptions } from '../options/export.js';
import { imageSourceOptions, refuseIdlePlatform } from '../options/registry.js';
import { resolveOptions } from '../options/resolve.js';
import { jsonLine } from '../output/json.js';
import { writeOut } from '../output/output.js';
import { formatSize, printable } from '../output/text.js';
import { reportWarnings } from '../report-error.js';

const positionals = {
  what: {
    type: 'string',
    array: true,
    describe: 'Jail, directory, manifest, jail file, image (oci:DIR, docker://NAME...) or programs',
    complete: 'file',
  },
} as const;

const options = {
  output: {
    alias: 'o',
    type: 'string',
    requiresArg: true,
    describe: 'Write the page to this file [default: report.html]',
    placeholder: 'FILE',
    complete: 'file',
  },
  unused: {
    type: 'string',
    requiresArg: true,
    describe: 'Mark unused files, as listed by `prove --unused-file`',
    placeholder: 'FILE',
    complete: 'file',
  },
  profile: exportOptions.profile,
  include: exportOptions.include,
  exclude: exportOptions.exclude,
  ...resolveOptions,
  'allow-missing': {
    type: 'boolean',
    describe: 'Exit with status 0 even if libraries are missing',
  },
  ...imageSourceOptions,
  json: { type: 'boolean', describe: 'Print one JSON result' },
  quiet: { alias: 'q', type: 'boolean', describe: 'Print warnings and errors only' },
} as const;

export const reportCommand = defineCommand({
  name: 'report',
  usage: '<what..>',
  summary: 'Write an HTML page that shows what a jail contains, and why',
  description: [
    'The page is one file that needs no network: sizes by package, directory and reason, a table of all ' +
      'entries to sort and filter, and the dependencies of each file. Without JavaScript it is plain tables.',
    'If libraries are missing, the page lists them, and the exit status is 1.',
  ],
  positionals,
  options,
  examples: [
    ['report /var/local/jail -o jail.html', 'Show what a jail contains'],
    ['report bash ls', 'Show what programs need'],
    ['report docker://docker.io/library/nginx', 'Show what an image contains'],
  ],
  async run(args) {
    const { what = [] } = args;
    if (what.length === 0)
      throw new JailbuildError('USAGE', 'name a jail, a manifest, an image or programs');
    refuseIdlePlatform(args, what);
    const file = args.output ?? 'report.html';
    const { readOperand } = await import('./operand-source.js');
    const { contentsOf } = await import('../../report/contents.js');
    const { reportPage } = await import('../../report/report-page.js');
    const pending = await prepareFile(file);
    try {
      const unused = await readUnused(args.unused);
      const contents = await contentsOf(what.join(' '), await readOperand(what, args), unused);
      const page = await reportPage(contents);
      await pending.commit(page);
      const size = Buffer.byteLength(page);
      const { warnings, missing } = contents;
      const isWhole = missing.length === 0;
      const status = isWhole ? 'ok' : 'missing';
      if (args.json) writeOut(jsonLine({ status, path: file, size, missing, warnings }));
      else if (!args.quiet) writeOut(`Wrote ${printable(file)}: ${formatSize(size)}\n`);
      if (!args.json) reportWarnings(contents);
      return isWhole || args['allow-missing'] ? EXIT.ok : EXIT.failure;
    } catch (error) {
      await pending.discard();
      throw error;
    }
  },
});

async function readUnused(file: string | undefined): Promise<UnusedFiles | undefined> {
  if (file === undefined) return undefined;
  const { readUnusedFiles } = await import('../../manifest/unused-files.js');
  return readUnusedFiles(file);
}
