import { statSync } from 'node:fs';
import { JailbuildError } from '../../errors.js';
import { toBytes } from '../../fs/path-bytes.js';
import type { Manifest } from '../../manifest/manifest.js';
import { defineCommand } from '../command.js';
import { EXIT } from '../exit-status.js';
import { resolveChoices, resolveOptions } from '../options/resolve.js';
import { jsonLine } from '../output/json.js';
import { writeOut } from '../output/output.js';

/** Chains of one file that are shown without --all. */
const USUAL_LIMIT = 10;
/** What --all shows at most. */
const ALL_LIMIT = 10_000;

const positionals = {
  from: {
    type: 'string',
    demandOption: true,
    describe: 'Directory of a jail, or a program by name or path',
    placeholder: 'root|program',
    complete: 'program',
  },
  path: {
    type: 'string',
    demandOption: true,
    describe: 'Path in the jail, or a file name',
    placeholder: 'file',
  },
} as const;

const options = {
  ...resolveOptions,
  all: { type: 'boolean', describe: `Show all chains, not the ${USUAL_LIMIT} shortest` },
  json: { type: 'boolean', describe: 'Print one JSON result' },
} as const;

export const whyCommand = defineCommand({
  name: 'why',
  usage: '<from> <path>',
  summary: 'Show why a file is in a jail, or why a program needs it',
  description: [
    'Shows each chain of reasons from the request to the file. For a jail, its record is read; a ' +
      'program is resolved as in a build, with the same options.',
  ],
  positionals,
  options,
  examples: [
    ['why /var/local/jail libtinfo.so.6', 'Tell why a jail has a library'],
    ['why top libsystemd.so.0', 'Tell why a program needs one'],
  ],
  async run(args) {
    const manifest = await manifestOf(args.from, args);
    const { entriesNamed, reasonChains } = await import('../../manifest/reason-chains.js');
    const found = entriesNamed(manifest, args.path).map(({ path }) => ({
      path,
      ...reasonChains(manifest, path, args.all ? ALL_LIMIT : USUAL_LIMIT),
    }));
    if (found.length === 0) {
      throw new JailbuildError('FILE_NOT_FOUND', `${args.path}: is not in ${args.from}`, args.path);
    }
    if (args.json) {
      writeOut(jsonLine({ status: 'ok', files: found }));
    } else {
      const { chainsText } = await import('../output/chains-text.js');
      writeOut(found.map((item) => chainsText(item)).join('\n'));
    }
    return EXIT.ok;
  },
});

async function manifestOf(
  from: string,
  args: Parameters<typeof resolveChoices>[0],
): Promise<Manifest> {
  const isDirectory = statSync(toBytes(from), { throwIfNoEntry: false })?.isDirectory() ?? false;
  if (isDirectory && args.sysroot === undefined) {
    const { requireRecord } = await import('../../jail/record/record.js');
    return requireRecord(from).manifest;
  }
  const { planRequest } = await import('../../plan/resolve-request.js');
  const request = { programs: [from], ...resolveChoices(args) };
  return (await planRequest(request, true)).manifest;
}
