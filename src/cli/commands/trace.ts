import path from 'node:path';
import { JailbuildError } from '../../errors.js';
import type { Trace } from '../../evidence/trace/trace.js';
import { type Arguments, defineCommand } from '../command.js';
import { EXIT } from '../exit-status.js';
import { observeOptions, observing } from '../options/trace.js';
import { jsonLine } from '../output/json.js';
import { writeErr, writeOut } from '../output/output.js';
import { plural, printable } from '../output/text.js';
import { reportError, reportLimits, warn } from '../report-error.js';

const positionals = {
  action: {
    type: 'string',
    describe: '`merge` to merge traces; otherwise run the command after --',
    complete: ['merge'],
  },
  trace: {
    type: 'string',
    array: true,
    describe: 'Traces to merge',
    complete: 'file',
  },
} as const;

const options = {
  output: {
    alias: 'o',
    type: 'string',
    requiresArg: true,
    describe: 'Write the trace to this file [default: trace.json]',
    placeholder: 'FILE',
    complete: 'file',
  },
  sysroot: {
    type: 'string',
    requiresArg: true,
    describe: 'Run and observe the command with this directory as its root',
    placeholder: 'DIR',
    complete: 'directory',
  },
  in: {
    type: 'string',
    requiresArg: true,
    describe: 'Run and observe the command in this jail, as `run` does',
    placeholder: 'ROOT',
    complete: 'directory',
  },
  'seccomp-profile': {
    type: 'string',
    requiresArg: true,
    describe: 'Write an OCI seccomp profile that allows the system calls of the run',
    placeholder: 'FILE',
    complete: 'file',
  },
  ...observeOptions,
  json: { type: 'boolean', describe: 'Print one JSON result' },
  quiet: { alias: 'q', type: 'boolean', describe: 'Print warnings and errors only' },
} as const;

type TraceArguments = Arguments<typeof positionals, typeof options>;

export const traceCommand = defineCommand({
  name: 'trace',
  usage: '[action] [trace..]',
  summary: 'Run a command and record which files it uses',
  description: [
    'Observes the command and all its descendants: which files they open, execute, list and look for, and whether these exist. `build --trace` builds a jail from the result. The command behaves as it would without jailbuild: exit status, signals and terminal are its own.',
    'Does not require root. Debuggers and other tracers work only with --mechanism notify. For users other than root, set-user-ID programs run without the rights of their owner.',
  ],
  rest: {
    placeholder: '[command..]',
    describe: 'The command and its arguments',
    complete: 'program',
  },
  positionals,
  options,
  examples: [
    ['trace -o curl.trace -- curl -s https://example.org', 'Trace one run'],
    ['trace merge -o all.trace curl.trace other.trace', 'Unite traces of several runs'],
    ['build jail curl --trace curl.trace', 'Build a jail of what was used'],
  ],
  exits: [
    ['125', 'The command could not be observed; a line on standard error gives the reason'],
    ['126', 'The command cannot be executed'],
    ['127', 'The command is not found'],
  ],
  async run(args) {
    if (args.action === 'merge') return merge(args);
    if (args.action !== undefined) {
      throw new JailbuildError('USAGE', `trace ${args.action}: put the command after --`);
    }
    try {
      return await traceCommandLine(args);
    } catch (error) {
      // Any other status may be the command's own.
      if (!(error instanceof JailbuildError) || error.code === 'USAGE') throw error;
      reportError(error, args.json ?? false);
      return EXIT.launcher;
    }
  },
});

async function traceCommandLine(args: TraceArguments): Promise<number> {
  const command = args['--'] ?? [];
  if (command.length === 0) throw new JailbuildError('USAGE', 'trace: name a command after --');
  if (args.in !== undefined && args.sysroot !== undefined)
    throw new JailbuildError('USAGE', '--in and --sysroot cannot be combined');
  const { runTraced } = await import('../../prove/run-traced.js');
  const { linger, mechanism } = observing(args);
  const where = await placeOf(args);
  const profile = await profileOf(args);
  return intoFile(args, async () => {
    const options = { ...where, linger, mechanism };
    const run = await runTraced(command, {
      ...options,
      ...(profile === undefined ? {} : { calls: profile.calls }),
    });
    if (run.hasStarted) await profile?.commit();
    reportLimits(run.counts, args.mechanism);
    for (const program of run.unprivileged) {
      warn(
        `${program}: ran without its set-ID rights, which the kernel withholds under observation`,
      );
    }
    return run;
  });
}

/** Opens the file of a system call profile, and returns it with the collector of calls. */
async function profileOf(args: TraceArguments) {
  const file = args['seccomp-profile'];
  if (file === undefined) return undefined;
  if (args.mechanism === 'notify')
    throw new JailbuildError(
      'USAGE',
      '--seccomp-profile and --mechanism notify cannot be combined',
    );
  const { CallCollector } = await import('../../evidence/trace/seccomp-profile.js');
  const { prepareFile } = await import('../manifest-file.js');
  const [calls, output] = [new CallCollector(), await prepareFile(file)];
  return { calls, commit: () => output.commit(calls.profile()) };
}

async function placeOf(args: TraceArguments) {
  if (args.in === undefined && args.sysroot === undefined) return {};
  const { jailLaunch, sysrootLaunch } = await import('../options/launch.js');
  if (args.in !== undefined) {
    const root = path.resolve(args.in);
    return { root, launch: jailLaunch(root) };
  }
  const root = path.resolve(args.sysroot ?? '/');
  return { root, launch: sysrootLaunch() };
}

async function merge(args: TraceArguments): Promise<number> {
  const names = args.trace ?? [];
  if (names.length === 0) throw new JailbuildError('USAGE', 'trace merge: name traces');
  if ((args['--'] ?? []).length > 0)
    throw new JailbuildError('USAGE', 'trace merge: takes no command');
  const { readTrace } = await import('../../evidence/trace/trace-json.js');
  const { mergeTraces } = await import('../../evidence/trace/merge.js');
  return intoFile(args, async () => ({
    trace: mergeTraces(names.map((name) => ({ name, trace: readTrace(name) }))),
    status: EXIT.ok,
    hasStarted: true,
  }));
}

/** Opens the output before anything runs, and writes the trace to it at the end, or nothing. */
async function intoFile(
  args: TraceArguments,
  make: () => Promise<{
    readonly trace: Trace;
    readonly status: number;
    readonly hasStarted: boolean;
  }>,
): Promise<number> {
  const { traceJson } = await import('../../evidence/trace/trace-json.js');
  const { prepareFile } = await import('../manifest-file.js');
  const output = await prepareFile(fileOf(args));
  try {
    const { trace, status, hasStarted } = await make();
    if (!hasStarted) return status;
    await output.commit(traceJson(trace));
    tell(args, trace);
    return status;
  } finally {
    await output.discard();
  }
}

function fileOf({ output }: TraceArguments): string {
  return output ?? 'trace.json';
}

function tell(args: TraceArguments, trace: Trace): void {
  const count = (state: string): number =>
    trace.files.filter((file) => file.state === state).length;
  const { incomplete } = trace;
  if (args.json) {
    const states = ['found', 'created', 'absent', 'denied', 'removed'];
    const counts = Object.fromEntries(states.map((state) => [state, count(state)]));
    writeOut(jsonLine({ status: 'ok', file: fileOf(args), incomplete, ...counts }));
    return;
  }
  if (incomplete > 0)
    warn(`the trace is incomplete: ${plural(incomplete, 'use')} could not be read`);
  if (args.quiet) return;
  // The command's own output is on standard output.
  writeErr(
    `jailbuild: ${printable(fileOf(args))}: ${plural(count('found'), 'file')} used, ${count('absent')} looked for and absent\n`,
  );
}
