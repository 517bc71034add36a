import { JailbuildError } from '../../errors.js';
import { recordedAttributes } from '../../fs/recorded-attributes.js';
import { readSourceFacts } from '../../jail/engine/source-facts.js';
import { hostState } from '../../jail/record/fingerprint.js';
import type { Closure } from '../../resolve/resolve.js';
import { defineCommand } from '../command.js';
import { EXIT } from '../exit-status.js';
import { optimizeLater } from '../optimize-later.js';
import { imageSourceOptions, refuseIdlePlatform } from '../options/registry.js';
import { noCacheOption, resolveChoices, resolveOptions } from '../options/resolve.js';
import { jsonLine } from '../output/json.js';
import { writeOut } from '../output/output.js';
import { dependsOn, mayStoreAnswer } from '../stored-answer.js';

const positionals = {
  program: {
    type: 'string',
    array: true,
    describe: 'Programs and libraries: programs by name or path, libraries by path',
    complete: 'program',
  },
} as const;

const { sysroot, dlopen, nss, ...others } = resolveOptions;
const options = {
  sysroot,
  'library-path': others['library-path'],
  dlopen,
  nss,
  'allow-missing': {
    type: 'boolean',
    describe: 'Exit with status 0 even if libraries or interpreters are missing',
  },
  size: {
    type: 'boolean',
    describe: 'Show the size of each file, alone and with everything that it needs',
  },
  ...imageSourceOptions,
  ...noCacheOption,
  json: { type: 'boolean', describe: 'Print one JSON result' },
} as const;

export const treeCommand = defineCommand({
  name: 'tree',
  usage: '<program..>',
  summary: 'Show the libraries that programs need, and the rule that finds each',
  description: [
    'Each line is a program or library, with the rule that finds it in brackets. Its dependencies are ' +
      'listed once, at its highest place in the tree; elsewhere three dots stand for them. A missing ' +
      'library is shown with each place that the loader searches, and the exit status is 1.',
    'With --size, the first column is the file alone, the second the file with everything that it needs, ' +
      'directly or not, each file counted once.',
  ],
  positionals,
  options,
  examples: [
    ['tree bash', 'Show the libraries of bash'],
    ['tree --size bash', 'Show what each library adds'],
    ['tree /bin/sh --sysroot /srv/arm64', 'Look into another root, of any architecture'],
  ],
  async run(args) {
    const programs = [...(args.program ?? []), ...(args['--'] ?? [])];
    if (programs.length === 0) throw new JailbuildError('USAGE', 'name at least one program');
    refuseIdlePlatform(args);
    await optimizeLater();
    const { resolveRequest } = await import('../../plan/resolve-request.js');
    const { dependencyTree, totalOf } = await import('../../resolve/dependency-tree.js');
    const request = {
      programs,
      ...resolveChoices(args),
      terminfo: 'none',
      ldCache: 'copy',
    } as const;
    const began = Date.now();
    const closure = await resolveRequest(request, {
      goesOn: true,
      isAdvised: false,
      readFacts: readSourceFacts,
      noCache: args['no-cache'],
    });
    const trees = dependencyTree(closure, { totals: args.json === true || args.size === true });
    const isWhole = closure.missing.length === 0;
    if (args.json) {
      const status = isWhole ? 'ok' : 'missing';
      const { missing, warnings } = closure;
      writeOut(jsonLine({ status, programs: trees, total: totalOf(trees), missing, warnings }));
    } else {
      const { painter } = await import('../output/colour.js');
      const { sizedTreeText, treeText } = await import('../output/tree-text.js');
      const print = args.size ? sizedTreeText : treeText;
      writeOut(print(trees, await painter()));
    }
    if (!args['no-cache']) rememberAnswer(closure, began);
    return isWhole || args['allow-missing'] ? EXIT.ok : EXIT.failure;
  },
});

/** An unpacked image has the attributes of its files elsewhere than on these. */
function rememberAnswer({ sysroot }: Closure, began: number): void {
  const { prefix } = sysroot;
  if (!mayStoreAnswer() || recordedAttributes(prefix) !== undefined) return;
  const seen = sysroot.observed();
  const state = seen && hostState(seen, prefix, began, () => false);
  if (state !== undefined) dependsOn({ kind: 'host', sourceRoot: prefix, blocks: [...state] });
}
