import { defineCommand } from '../command.js';
import { EXIT } from '../exit-status.js';
import { Interrupt } from '../interrupt.js';
import { targetOf } from '../options/jail-file.js';
import { ROOT_ARGUMENT } from '../options/root.js';
import { jsonLine } from '../output/json.js';
import { writeOut } from '../output/output.js';
import { printable } from '../output/text.js';
import { warn } from '../report-error.js';

const options = {
  changed: {
    type: 'boolean',
    describe: 'Also remove files that were changed in the jail',
  },
  wait: {
    type: 'boolean',
    describe: 'Wait until a build in the same jail ends, instead of failing',
  },
  'dry-run': { type: 'boolean', describe: 'Print what would be removed and change nothing' },
  json: { type: 'boolean', describe: 'Print one JSON result' },
  quiet: { alias: 'q', type: 'boolean', describe: 'Print warnings and errors only' },
} as const;

export const removeCommand = defineCommand({
  name: 'remove',
  usage: '<root>',
  summary: 'Remove everything that builds put into a jail, and nothing else',
  positionals: ROOT_ARGUMENT,
  options,
  examples: [['remove /var/local/jail', 'Remove a jail; files that no build made stay']],
  async run(args) {
    const target = targetOf(args.root);
    const interrupt = new Interrupt();
    interrupt.listen();
    const { removeJail } = await import('../../jail/remove.js');
    try {
      const result = await removeJail(target, {
        changed: args.changed ?? false,
        dryRun: args['dry-run'] ?? false,
        wait: args.wait ?? false,
        onWait: () => warn(`waiting for a build in ${args.root}`),
        signal: interrupt.signal,
      });
      const { removed, left, warnings } = result;
      if (args.json) {
        writeOut(jsonLine({ status: 'ok', target, removed, left, warnings }));
      } else if (!args.quiet) {
        const lines = [
          ...removed.map((at) => `- ${printable(at)}`),
          ...left.map(({ path, why }) => `  ${printable(path)}: left, ${why}`),
        ];
        writeOut(lines.map((line) => `${line}\n`).join(''));
      }
      for (const warning of warnings) warn(warning);
      return EXIT.ok;
    } catch (error) {
      return interrupt.statusAfter(error, 'remove again to finish');
    } finally {
      interrupt.stop();
    }
  },
});
