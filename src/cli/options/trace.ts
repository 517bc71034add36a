import { JailbuildError } from '../../errors.js';

/** Options of `trace` and other commands that observe runs. */
export const observeOptions = {
  mechanism: {
    choices: ['ptrace', 'notify'],
    describe:
      'How to observe system calls. With ptrace, debuggers do not work in the command. With notify they do, but calls interrupted by a signal may fail with EINTR, and the observer looks up by itself whether a file exists [default: ptrace]',
  },
  linger: {
    type: 'string',
    requiresArg: true,
    describe:
      'How long to observe processes that outlive the command; they then continue unobserved [default: 2]',
    placeholder: 'SECONDS',
  },
} as const;

/** Returns the observer options of a command line. */
export function observing(args: {
  readonly mechanism: string | undefined;
  readonly linger: string | undefined;
}): { readonly mechanism: 'ptrace' | 'notify'; readonly linger: number } {
  const seconds = Number(args.linger ?? '2');
  if (!(seconds >= 0 && seconds <= 1_000_000)) {
    throw new JailbuildError('USAGE', `--linger ${args.linger}: give seconds`);
  }
  const mechanism = args.mechanism === 'notify' ? 'notify' : 'ptrace';
  return { mechanism, linger: Math.round(seconds * 1000) };
}
