import type { BuildOptions } from '../../jail/build/job.js';
import type { JailChange, Updated, UpdateResult } from '../../jail/update.js';
import { defineCommand } from '../command.js';
import { EXIT } from '../exit-status.js';
import { Interrupt } from '../interrupt.js';
import { optimizeLater } from '../optimize-later.js';
import { buildOptions } from '../options/build.js';
import { changedOptions, changedPolicy } from '../options/changed.js';
import { targetOf } from '../options/jail-file.js';
import { registryOptions, registryOptionsOf } from '../options/registry.js';
import { ROOT_ARGUMENT } from '../options/root.js';
import { jsonLine } from '../output/json.js';
import { writeOut } from '../output/output.js';
import { plural, printable } from '../output/text.js';
import { reportWarnings, warn } from '../report-error.js';
import { dependsOn } from '../stored-answer.js';

/** An update that was made or planned. */
interface Done extends Omit<Updated, 'result'> {
  readonly result: Pick<UpdateResult, 'changes' | 'manifest' | 'warnings'>;
}

const options = {
  ...changedOptions,
  strict: buildOptions.strict,
  'no-sync': buildOptions['no-sync'],
  'no-cache': buildOptions['no-cache'],
  wait: buildOptions.wait,
  'insecure-parents': buildOptions['insecure-parents'],
  ...registryOptions,
  'dry-run': { type: 'boolean', describe: 'Print what would be done and change nothing' },
  json: { type: 'boolean', describe: 'Print one JSON result' },
  quiet: { alias: 'q', type: 'boolean', describe: 'Print warnings and errors only' },
} as const;

const MARK = { added: '+', replaced: '~', removed: '-', kept: '=' } as const;

export const updateCommand = defineCommand({
  name: 'update',
  usage: '<root>',
  summary: 'Update a jail to match the current host',
  positionals: ROOT_ARGUMENT,
  options,
  examples: [
    ['update /var/local/jail', 'Copy what has changed on the host'],
    ['update /var/local/jail --dry-run', 'Show what an update would change'],
  ],
  async run(args) {
    const target = targetOf(args.root);
    await optimizeLater(target);
    const interrupt = new Interrupt();
    const { planUpdate, runUpdate } = await import('../../jail/update.js');
    try {
      const jobOptions: BuildOptions = {
        strict: args.strict ?? false,
        noSync: args['no-sync'] ?? false,
        noCache: args['no-cache'] ?? false,
        wait: args.wait ?? false,
        insecureParents: args['insecure-parents'] ?? false,
        onWait: () => warn(`waiting for another build in ${args.root}`),
        registry: registryOptionsOf(args),
        signal: interrupt.signal,
        onWrite: () => interrupt.listen(),
        ...changedPolicy(args),
      };
      const { result, unchanged }: Done = args['dry-run']
        ? { result: await planUpdate(target, jobOptions) }
        : await runUpdate(target, jobOptions);
      const { changes, manifest, warnings } = result;
      if (args.json) {
        const all = [...manifest.warnings, ...warnings];
        writeOut(
          jsonLine({ status: 'ok', target, changes, missing: manifest.missing, warnings: all }),
        );
      } else if (!args.quiet) {
        writeOut(changesText(changes, manifest.entries.length));
      }
      reportWarnings(manifest, warnings);
      if (unchanged !== undefined) dependsOn({ kind: 'jail', target, ...unchanged });
      return EXIT.ok;
    } catch (error) {
      return interrupt.statusAfter(error, 'nothing was changed');
    } finally {
      interrupt.stop();
    }
  },
});

function changesText(changes: readonly JailChange[], entries: number): string {
  const lines = changes.map(({ action, path }) => `${MARK[action]} ${printable(path)}`);
  const touched = changes.filter(({ action }) => action !== 'kept').length;
  const summary =
    touched === 0
      ? `Up to date: ${plural(entries, 'entry', 'entries')}`
      : plural(touched, 'change');
  return [...lines, summary].map((line) => `${line}\n`).join('');
}
