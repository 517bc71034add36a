import { defineCommand } from '../command.js';
import { EXIT } from '../exit-status.js';
import { prepareFile } from '../manifest-file.js';
import { jsonLine } from '../output/json.js';
import { writeOut } from '../output/output.js';

const positionals = {
  before: {
    type: 'string',
    demandOption: true,
    describe: 'Directory of a jail, a manifest, a jail file, or a program',
    complete: 'file',
  },
  after: {
    type: 'string',
    demandOption: true,
    describe: 'What to compare it with: any of these',
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
  json: { type: 'boolean', describe: 'Print one JSON result' },
  quiet: { alias: 'q', type: 'boolean', describe: 'Print nothing' },
} as const;

export const diffCommand = defineCommand({
  name: 'diff',
  usage: '<before> <after>',
  summary: 'Show how two jails, manifests or plans differ',
  description: [
    'Compares paths, types, modes, owners, sizes, link targets, digests where both have them, owning ' +
      'packages with their versions, and kinds of reasons. Times are not compared.',
  ],
  positionals,
  options,
  examples: [
    ['diff old.json new.json', 'Show how two manifests differ'],
    ['diff /var/local/jail jail.yaml --exit-code', 'Fail if a jail is not what its file gives now'],
  ],
  exits: [['3', 'With --exit-code: there are differences']],
  async run(args) {
    const { sourceOf } = await import('./operand-source.js');
    const { contentsOf } = await import('../../report/contents.js');
    const { compareContents } = await import('../../report/compare.js');
    const read = async (operand: string) =>
      contentsOf(operand, await sourceOf([operand], {}).read());
    const pending = args.html === undefined ? undefined : await prepareFile(args.html);
    try {
      const comparison = compareContents(await read(args.before), await read(args.after));
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
