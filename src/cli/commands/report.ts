import { JailbuildError } from '../../errors.js';
import { defineCommand } from '../command.js';
import { EXIT } from '../exit-status.js';
import { prepareFile } from '../manifest-file.js';
import { exportOptions } from '../options/export.js';
import { resolveOptions } from '../options/resolve.js';
import { jsonLine } from '../output/json.js';
import { writeOut } from '../output/output.js';
import { formatSize, printable } from '../output/text.js';
import { warn } from '../report-error.js';

const positionals = {
  what: {
    type: 'string',
    array: true,
    describe: 'Directory of a jail, a manifest, a jail file, or programs by name or path',
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
  profile: exportOptions.profile,
  include: exportOptions.include,
  exclude: exportOptions.exclude,
  ...resolveOptions,
  'allow-missing': exportOptions['allow-missing'],
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
  ],
  positionals,
  options,
  examples: [
    ['report /var/local/jail -o jail.html', 'Show what a jail contains'],
    ['report bash ls', 'Show what programs would bring'],
  ],
  async run(args) {
    const { what = [] } = args;
    if (what.length === 0) throw new JailbuildError('USAGE', 'name a jail, a manifest or programs');
    const file = args.output ?? 'report.html';
    const { sourceOf } = await import('./operand-source.js');
    const { contentsOf } = await import('../../report/contents.js');
    const { reportPage } = await import('../../report/page.js');
    const pending = await prepareFile(file);
    try {
      const contents = await contentsOf(what.join(' '), await sourceOf(what, args).read());
      const page = await reportPage(contents);
      await pending.commit(page);
      const size = Buffer.byteLength(page);
      const { warnings } = contents;
      if (args.json) writeOut(jsonLine({ status: 'ok', path: file, size, warnings }));
      else if (!args.quiet) writeOut(`Wrote ${printable(file)}: ${formatSize(size)}\n`);
      if (!args.json) for (const warning of warnings) warn(warning);
      return EXIT.ok;
    } catch (error) {
      await pending.discard();
      throw error;
    }
  },
});
