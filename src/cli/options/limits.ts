import { JailbuildError } from '../../errors.js';
import { parseCount, parseSize } from '../../launcher/values.js';
import type { Limits } from '../../plan/limits.js';
import type { Arguments } from '../command.js';

const GROUP = 'Limits:';

/** Limits on the contents of a root, shared by several commands. */
export const limitOptions = {
  'max-size': {
    type: 'string',
    requiresArg: true,
    describe: 'Fail if the files add up to more than this, such as 20m',
    placeholder: 'SIZE',
    group: GROUP,
  },
  'max-files': {
    type: 'string',
    requiresArg: true,
    describe: 'Fail if there are more files than this, not counting directories',
    placeholder: 'N',
    group: GROUP,
  },
  forbid: {
    type: 'string',
    array: true,
    nargs: 1,
    describe: 'Fail if a path matches; a pattern without a slash matches the last name',
    placeholder: 'GLOB',
    group: GROUP,
  },
  'forbid-set-id': {
    type: 'boolean',
    describe: 'Fail if a file has set-user-ID or set-group-ID bits or capabilities',
    group: GROUP,
  },
} as const;

/** The form of messages, for commands without `--json`. */
export const FORMAT_OPTION = {
  choices: ['text', 'github'],
  describe: 'Format of messages: text, or annotations for GitHub Actions [default: text]',
} as const;

type LimitArguments = Arguments<Record<never, never>, typeof limitOptions>;

/**
 * Returns the limits of a command line; undefined without any.
 *
 * @throws JailbuildError USAGE
 */
export function limitsOf(args: Partial<LimitArguments>): Limits | undefined {
  if (args.forbid?.includes(''))
    throw new JailbuildError('USAGE', '--forbid has an empty pattern: leave it out');
  const limits: Limits = {
    ...(args['max-size'] === undefined
      ? {}
      : { maxSize: parseSize('--max-size', args['max-size']) }),
    ...(args['max-files'] === undefined
      ? {}
      : { maxFiles: parseCount('--max-files', args['max-files']) }),
    ...(args.forbid === undefined ? {} : { forbid: args.forbid }),
    ...(args['forbid-set-id'] ? { forbidSetId: true } : {}),
  };
  return Object.keys(limits).length === 0 ? undefined : limits;
}
