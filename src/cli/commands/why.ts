import { statSync } from 'node:fs';
import { JailbuildError } from '../../errors.js';
import { toBytes } from '../../fs/path-bytes.js';
import type { RegistryAccess } from '../../image/registry/access.js';
import type { Entry, Manifest } from '../../manifest/manifest.js';
import type { ResolveRequest } from '../../manifest/request.js';
import { defineCommand } from '../command.js';
import { EXIT } from '../exit-status.js';
import { imageSourceOptions, refuseIdlePlatform, registryOptionsOf } from '../options/registry.js';
import { noCacheOption, resolveChoices, resolveOptions } from '../options/resolve.js';
import { jsonLine } from '../output/json.js';
import { writeOut } from '../output/output.js';

/** The number of chains of one file that are shown without --all. */
const USUAL_LIMIT = 10;
/** The maximum number of chains that --all shows. */
const ALL_LIMIT = 10_000;
/** The maximum number of links that the kernel follows (path_resolution(7)). */
const MAX_LINKS = 40;

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
  ...imageSourceOptions,
  ...noCacheOption,
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
    refuseIdlePlatform(args);
    const { manifest, request } = await sourceOf(args.from, args);
    const { entriesNamed, reasonChains } = await import('../../manifest/reason-chains.js');
    const entries = entriesNamed(manifest, args.path);
    const others = await otherWaysOf(entries, manifest, request, registryOptionsOf(args));
    const found = entries.map(({ path }) => {
      const otherwise = others.get(path);
      return {
        path,
        ...reasonChains(manifest, path, args.all ? ALL_LIMIT : USUAL_LIMIT),
        ...(otherwise === undefined ? {} : { otherwise }),
      };
    });
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

/** Returns the options that would have added files that only a run has shown to be used. */
async function otherWaysOf(
  entries: readonly Entry[],
  manifest: Manifest,
  request: ResolveRequest,
  registry: RegistryAccess,
): Promise<ReadonlyMap<string, readonly string[]>> {
  const byPath = new Map(manifest.entries.map((entry) => [entry.path, entry]));
  const isObserved = ({ reasons }: Entry, depth = 0): boolean =>
    reasons.some((reason) => {
      if (reason.kind !== 'link-target' || depth > MAX_LINKS) return reason.kind === 'observed';
      const link = byPath.get(reason.of);
      return link !== undefined && isObserved(link, depth + 1);
    });
  const isAsked = ({ reasons }: Entry): boolean => reasons.some(({ kind }) => kind === 'requested');
  const observed = entries.filter((entry) => isObserved(entry) && !isAsked(entry));
  if (observed.length === 0) return new Map();
  const { otherWays } = await import('../../plan/other-ways.js');
  return otherWays(
    observed.map(({ path }) => path),
    request,
    registry,
  );
}

async function sourceOf(
  from: string,
  args: Parameters<typeof resolveChoices>[0] & { readonly 'no-cache'?: boolean | undefined },
): Promise<{ readonly manifest: Manifest; readonly request: ResolveRequest }> {
  const isDirectory = statSync(toBytes(from), { throwIfNoEntry: false })?.isDirectory() ?? false;
  if (isDirectory && args.sysroot === undefined) {
    const { requireRecord } = await import('../../jail/record/record.js');
    return requireRecord(from);
  }
  const { planRequest } = await import('../../plan/resolve-request.js');
  const request = { programs: [from], ...resolveChoices(args) };
  const { manifest } = await planRequest(request, true, { noCache: args['no-cache'] });
  return { manifest, request };
}
