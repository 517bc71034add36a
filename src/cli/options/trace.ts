import { JailbuildError } from '../../errors.js';

/** Options of `trace` and other commands that observe runs. */
export const observeOptions = {
  mechanism: {
    choices: ['ptrace', 'notify'],
    describe:
      'How system calls are seen. With ptrace, the command cannot trace processes itself, as debuggers do; with notify it can, but calls that a signal interrupts may fail with EINTR, and whether a file exists is looked up beside the call rather than taken from its answer [default: ptrace]',
  },
  linger: {
    type: 'string',
    requiresArg: true,
    describe:
      'Seconds for which to observe processes that the command leaves behind [default: 2]; they go on after that',
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
