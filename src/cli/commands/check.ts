import { JailbuildError } from '../../errors.js';
import type { RegistryAccess } from '../../image/registry/access.js';
import { type CheckFinding, FINDING_KINDS, type FindingKind } from '../../jail/check/finding.js';
import type { Limits } from '../../plan/limits.js';
import { defineCommand } from '../command.js';
import { EXIT } from '../exit-status.js';
import { targetOf } from '../options/jail-file.js';
import { FORMAT_OPTION, limitOptions, limitsOf } from '../options/limits.js';
import { registryOptions, registryOptionsOf } from '../options/registry.js';
import { ROOT_ARGUMENT } from '../options/root.js';
import { jsonLine } from '../output/json.js';
import { writeErr, writeOut } from '../output/output.js';
import { printable } from '../output/text.js';

const options = {
  quick: {
    type: 'boolean',
    describe: 'Compare only sizes, times and attributes, without reading files',
  },
  ignore: {
    type: 'string',
    requiresArg: true,
    describe: 'Ignore findings of these kinds',
    placeholder: 'KIND,...',
    complete: FINDING_KINDS,
  },
  prove: {
    type: 'boolean',
    describe: 'Also run the proofs of the jail file from which the jail was built',
  },
  ...limitOptions,
  ...registryOptions,
  format: FORMAT_OPTION,
  json: { type: 'boolean', describe: 'Print one JSON result' },
  quiet: { alias: 'q', type: 'boolean', describe: 'Print nothing; only set the exit status' },
} as const;

export const checkCommand = defineCommand({
  name: 'check',
  usage: '<root>',
  summary: 'Report how a jail differs from its record and from the host',
  positionals: ROOT_ARGUMENT,
  options,
  examples: [
    ['check /var/local/jail', 'Compare a jail with its record and with the host'],
    ['check /var/local/jail --ignore stale', 'Ignore changes on the host'],
  ],
  exits: [['3', 'The jail differs, exceeds a limit, or fails a proof']],
  async run(args) {
    const ignore = kindsOf(args.ignore);
    const target = targetOf(args.root);
    const registry = registryOptionsOf(args);
    const { checkJail } = await import('../../jail/check/check.js');
    const checked = await checkJail(target, {
      quick: args.quick ?? false,
      ignore,
      registry,
    });
    const excess = await excessOf(target, limitsOf(args), registry);
    const result = { ...checked, findings: [...checked.findings, ...excess] };
    if (args.format === 'github') {
      const { annotation } = await import('../output/annotations.js');
      for (const { kind, path, details } of result.findings) {
        writeErr(annotation('error', kind, printable(`${path}: ${details.join(', ')}`)));
      }
    }
    const isClean = result.findings.length === 0;
    if (args.json) {
      writeOut(jsonLine({ status: isClean ? 'clean' : 'drift', target, ...result }));
    } else if (!args.quiet) {
      const { checkText } = await import('../output/check-text.js');
      writeOut(checkText(result));
    }
    const isProven =
      args.prove !== true || (await areProven(target, args.quiet ?? false, registry));
    return isClean && isProven ? EXIT.ok : EXIT.drift;
  },
});

/** How the jail, with what its owner put there, exceeds limits. */
async function excessOf(
  target: string,
  limits: Limits | undefined,
  registry: RegistryAccess,
): Promise<CheckFinding[]> {
  if (limits === undefined) return [];
  const { jailTree } = await import('../../export/source.js');
  const { excesses } = await import('../../plan/limits.js');
  const { tree } = await jailTree(target, registry);
  return excesses(tree.entries, limits).map(({ path, problem }) => ({
    kind: 'limit',
    path,
    details: [problem],
  }));
}

/** Runs the proofs of the jail file that the record names. */
async function areProven(
  target: string,
  quiet: boolean,
  registry: RegistryAccess,
): Promise<boolean> {
  const { requireRecord } = await import('../../jail/record/record.js');
  const { request, file } = requireRecord(target);
  const { readJailFile } = await import('../../profile/jail-file.js');
  const { proofsOf } = await import('../options/proofs.js');
  const options = proofsOf(file === undefined ? undefined : readJailFile(file), '--prove', quiet);
  const { runProofs } = await import('../../prove/proofs.js');
  const { openSysroot } = await import('../../plan/open-sysroot.js');
  const { sysroot } = await openSysroot(request, registry);
  const results = await runProofs(target, sysroot, options);
  return results.every(({ passes }) => passes);
}

function kindsOf(text: string | undefined): readonly FindingKind[] {
  const words = (text ?? '').split(',').filter((word) => word !== '');
  const unknown = words.find((word) => !FINDING_KINDS.includes(word as FindingKind));
  if (unknown !== undefined) {
    throw new JailbuildError(
      'USAGE',
      `--ignore ${unknown}: the kinds are ${FINDING_KINDS.join(', ')}`,
    );
  }
  return words as FindingKind[];
}
