import { type Arguments, defineCommand } from '../command.js';
import { EXIT } from '../exit-status.js';
import { jsonLine } from '../output/json.js';
import { writeOut } from '../output/output.js';
import { printable } from '../output/text.js';

const options = {
  all: { alias: 'a', type: 'boolean', describe: 'List the jails of all users' },
  json: { type: 'boolean', describe: 'Print one JSON result' },
} as const;

export const psCommand = defineCommand({
  name: 'ps',
  usage: '',
  summary: 'List the running jails of this user',
  description: [
    'Finds jails by their launchers in /proc. The PID is that of the launcher, which forwards signals to the command of the jail.',
  ],
  positionals: {},
  options,
  examples: [['ps', 'List the running jails']],
  async run(args: Arguments<Record<never, never>, typeof options>) {
    const { runningJails } = await import('../../launcher/running.js');
    const jails = runningJails(args.all ? undefined : (process.geteuid?.() ?? 0));
    if (args.json) {
      writeOut(
        jsonLine({
          jails: jails.map(({ words: _words, start: _start, entry: _entry, ...shown }) => shown),
        }),
      );
      return EXIT.ok;
    }
    const rows = jails.map(({ pid, init, seconds, root, command }) => [
      ...[String(pid), String(init), duration(seconds), root],
      command.length === 0 ? '(shell)' : command.join(' '),
    ]);
    const table = [['PID', 'INIT', 'TIME', 'ROOT', 'COMMAND'], ...rows];
    const widths = table[0]?.map((_, column) =>
      Math.max(...table.map((row) => row[column]?.length ?? 0)),
    );
    for (const row of table)
      writeOut(
        `${row
          .map((cell, column) => printable(cell).padEnd(widths?.[column] ?? 0))
          .join('  ')
          .trimEnd()}\n`,
      );
    return EXIT.ok;
  },
});

/** As ps(1) has it: [[DAYS-]HOURS:]MINUTES:SECONDS. */
function duration(seconds: number): string {
  const two = (number: number): string => String(number).padStart(2, '0');
  const [days, hours] = [Math.floor(seconds / 86_400), Math.floor(seconds / 3600) % 24];
  const rest = `${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`;
  if (days > 0) return `${days}-${two(hours)}:${rest}`;
  return hours > 0 ? `${two(hours)}:${rest}` : rest;
}
