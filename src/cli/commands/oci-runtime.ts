import { appendFileSync } from 'node:fs';
import { constants } from 'node:os';
import path from 'node:path';
import { JailbuildError } from '../../errors.js';
import { type Arguments, defineCommand } from '../command.js';
import { EXIT } from '../exit-status.js';
import { jsonLine } from '../output/json.js';
import { writeOut } from '../output/output.js';

const positionals = {
  action: {
    type: 'string',
    demandOption: true,
    describe: 'create, start, state, kill, delete, exec, list',
    complete: ['create', 'start', 'state', 'kill', 'delete', 'exec', 'list'],
  },
  id: { type: 'string', describe: 'Name of the container' },
  words: { type: 'string', array: true, describe: 'Signal of kill, or command of exec' },
} as const;

const text = (describe: string, placeholder: string) =>
  ({ type: 'string', requiresArg: true, describe, placeholder }) as const;
const flag = (describe: string) => ({ type: 'boolean', describe }) as const;

const options = {
  root: text('Directory for the state of containers [default: /run/jailbuild/oci]', 'DIR'),
  log: text('Write errors to this file too', 'FILE'),
  'log-format': { choices: ['text', 'json'], describe: 'Format of the log [default: text]' },
  bundle: { alias: 'b', ...text('Directory with config.json [default: .]', 'DIR') },
  'pid-file': text('Write the PID of the process to this file', 'FILE'),
  'console-socket': text('Send the terminal to this socket', 'PATH'),
  'preserve-fds': text('Pass this many descriptors from 3 on', 'N'),
  'no-pivot': flag('For compatibility: where pivot_root(2) cannot be used, that is noticed'),
  'no-new-keyring': flag('For compatibility: the session keyring is new in any case'),
  force: { alias: 'f', ...flag('Delete a running container; ignore a missing one') },
  all: { alias: 'a', ...flag('Send the signal to all processes of the container') },
  process: { alias: 'p', ...text('File with the process to execute', 'FILE') },
  detach: { alias: 'd', ...flag('Leave the process running') },
  tty: { alias: 't', ...flag('Give the process a new terminal') },
  cwd: text('Working directory of the process', 'DIR'),
  env: {
    alias: 'e',
    type: 'string',
    array: true,
    nargs: 1,
    describe: 'Set an environment variable',
    placeholder: 'NAME=VALUE',
  },
  user: { alias: 'u', ...text('User of the process', 'UID[:GID]') },
  'systemd-cgroup': flag('Refused: cgroups are made in the cgroup file system'),
} as const;

type RuntimeArguments = Arguments<typeof positionals, typeof options>;

export const ociRuntimeCommand = defineCommand({
  name: 'oci-runtime',
  usage: '<action> [id] [words..]',
  summary: 'Run containers for podman, containerd and other engines, as runc does',
  description: [
    'Takes the command line of OCI runtimes. jailbuild-runtime is the same command as a single program, for engines that accept only a path: podman --runtime /usr/local/bin/jailbuild-runtime. docs/kubernetes.md shows the configuration of containerd.',
  ],
  positionals,
  options,
  examples: [
    ['oci-runtime create --bundle /srv/bundle web', 'Make a container'],
    ['oci-runtime start web', 'Run its process'],
  ],
  async run(args: RuntimeArguments) {
    try {
      return await act(args);
    } catch (error) {
      if (args.log !== undefined && error instanceof JailbuildError) logError(args, error);
      throw error;
    }
  },
});

async function act(args: RuntimeArguments): Promise<number> {
  const { defaultStateDirectory, listContainers, loadContainer, stateOf } = await import(
    '../../launcher/oci/container.js'
  );
  const runtime = await import('../../launcher/oci/runtime.js');
  const state = path.resolve(args.root ?? defaultStateDirectory());
  if (args['systemd-cgroup'])
    usage('--systemd-cgroup is not supported: use cgroupfs (podman --cgroup-manager cgroupfs)');
  if (args.action === 'list') {
    const all = await listContainers(state);
    writeOut(jsonLine(all.map((container) => stateOf(state, container))));
    return EXIT.ok;
  }
  const id = args.id ?? usage(`${args.action}: name a container`);
  const absolute = (file: string | undefined): string | undefined =>
    file === undefined ? undefined : path.resolve(file);
  const files = defined({
    pidFile: absolute(args['pid-file']),
    consoleSocket: absolute(args['console-socket']),
  });
  switch (args.action) {
    case 'create': {
      const bundle = path.resolve(args.bundle ?? '.');
      const { parseDescriptorCount } = await import('../../launcher/values.js');
      const preserveFds = parseDescriptorCount('--preserve-fds', args['preserve-fds'] ?? '0');
      await runtime.createContainer(id, { state, bundle, preserveFds, ...files });
      return EXIT.ok;
    }
    case 'start':
      await runtime.startContainer(state, id);
      return EXIT.ok;
    case 'state':
      writeOut(jsonLine(stateOf(state, loadContainer(state, id))));
      return EXIT.ok;
    case 'kill':
      runtime.killContainer(state, id, signalOf(args.words?.[0] ?? 'TERM'), args.all ?? false);
      return EXIT.ok;
    case 'delete':
      await runtime.deleteContainer(state, id, args.force ?? false);
      return EXIT.ok;
    case 'exec':
      return runtime.execInContainer(id, [...(args.words ?? []), ...(args['--'] ?? [])], {
        ...{ state, detach: args.detach ?? false, tty: args.tty ?? false, env: args.env ?? [] },
        ...files,
        ...defined({ processFile: absolute(args.process), cwd: args.cwd, user: args.user }),
      });
    default:
      return usage(
        `${args.action}: unknown action: use create, start, state, kill, delete, exec or list`,
      );
  }
}

function defined<T extends object>(values: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  const entries = Object.entries(values).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as { [K in keyof T]?: Exclude<T[K], undefined> };
}

function usage(message: string): never {
  throw new JailbuildError('USAGE', message);
}

/** By its number or its name, with or without SIG. */
function signalOf(word: string): NodeJS.Signals | number {
  if (/^\d+$/.test(word)) return Number(word);
  const name = `SIG${word.toUpperCase().replace(/^SIG/, '')}`;
  if (name in constants.signals) return name as NodeJS.Signals;
  return usage(`kill: ${word}: no such signal`);
}

/** The lines that engines read to say why a runtime failed. */
function logError(args: RuntimeArguments, error: JailbuildError): void {
  const entry = { level: 'error', msg: error.message, time: new Date().toISOString() };
  const line =
    args['log-format'] === 'json'
      ? JSON.stringify(entry)
      : `time="${entry.time}" level=error msg=${JSON.stringify(entry.msg)}`;
  try {
    appendFileSync(args.log as string, `${line}\n`);
  } catch {
    // The error itself is told on standard error.
  }
}
