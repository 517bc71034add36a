import type { ChangedPolicy } from '../../jail/record/owned-entries.js';

/** What build and update do with files changed in the jail. */
export const changedOptions = {
  'keep-changed': {
    type: 'boolean',
    conflicts: 'replace-changed',
    describe: 'Keep all files that were changed in the jail [default: only those below /etc]',
  },
  'replace-changed': {
    type: 'boolean',
    describe: 'Replace changed files below /etc as well',
  },
} as const;

interface ChangedArguments {
  readonly 'keep-changed': boolean | undefined;
  readonly 'replace-changed': boolean | undefined;
}

export function changedPolicy(args: ChangedArguments): { readonly changed?: ChangedPolicy } {
  if (args['keep-changed']) return { changed: 'keep' };
  return args['replace-changed'] ? { changed: 'replace' } : {};
}
