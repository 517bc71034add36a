import { existsSync, readFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import path from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { execa } from 'execa';
import { JailbuildError } from '../errors.js';
import { ownVariable } from '../fs/own-environment.js';
import { toBytes } from '../fs/path-bytes.js';
import { locateLauncher } from './locate.js';
import { makeOwnDirectory } from './own-directory.js';

/** Programs that connect a network namespace to the outside without privileges. */
export type NetworkHelper = 'pasta' | 'slirp4netns';

/** A port of the host forwarded to the jail. */
export interface PublishedPort {
  readonly protocol: 'tcp' | 'udp';
  /** Host address to listen on; default: all. */
  readonly address?: string;
  readonly host: number;
  readonly jail: number;
}

export interface OutgoingNetwork {
  readonly helper: NetworkHelper;
  readonly publish: readonly PublishedPort[];
}

/** Address of slirp4netns's name server (slirp4netns(1)). */
const SLIRP_NAME_SERVER = '10.0.2.3';
const PATIENCE_MS = 10_000;
/** Longer than execa waits before it kills a process that does not end. */
const LAST_PATIENCE_MS = 6_000;

/** Finds a helper in PATH. For root, prefers slirp4netns: older versions of pasta give root no network. */
export function findHelper(wanted: NetworkHelper | undefined): NetworkHelper {
  const places = (ownVariable('PATH') ?? '').split(':').filter((directory) => directory !== '');
  const isThere = (name: string): boolean =>
    places.some((directory) => existsSync(toBytes(path.join(directory, name))));
  const order: readonly NetworkHelper[] =
    process.geteuid?.() === 0 ? ['slirp4netns', 'pasta'] : ['pasta', 'slirp4netns'];
  const found = (wanted === undefined ? order : [wanted]).find(isThere);
  if (found !== undefined) return found;
  const name = wanted ?? 'outgoing';
  throw new JailbuildError(
    'LAUNCHER_FAILED',
    `--network ${name}: ${wanted === undefined ? 'neither pasta nor slirp4netns is' : `${wanted} is not`} in PATH: install passt or slirp4netns`,
  );
}

/** Returns the content of the jail's /etc/resolv.conf. */
export function resolverText(network: OutgoingNetwork): string {
  if (network.helper === 'slirp4netns') return `nameserver ${SLIRP_NAME_SERVER}\n`;
  let text = '';
  try {
    text = readFileSync('/etc/resolv.conf', 'utf8');
  } catch {
    // Without a file on the host, names do not resolve in the jail either.
  }
  // The host's loopback is not reachable from the jail.
  const lines = text.split('\n').filter((line) => !/^\s*nameserver\s+(127\.|::1)/.test(line));
  return lines.join('\n');
}

/** A running helper. */
export interface Helper {
  stop(): Promise<void>;
}

/**
 * Connects the network namespace of a process to the outside and waits until that works. The helper ends with this
 * process, however it ends.
 *
 * @param isGone returns whether the jail has ended or is to end; there is nothing to wait for then
 * @throws JailbuildError LAUNCHER_FAILED
 */
export async function startHelper(
  network: OutgoingNetwork,
  pid: number,
  isGone: () => boolean,
): Promise<Helper> {
  const forwards = network.helper === 'slirp4netns' ? network.publish : [];
  // slirp4netns accepts forwards through a socket alone, whose name is needed until they are made.
  const directory = forwards.length === 0 ? undefined : makeOwnDirectory();
  const socket = directory === undefined ? undefined : path.join(directory.path, 'api');
  const words = network.helper === 'pasta' ? pastaWords(network, pid) : slirpWords(pid, socket);
  const variables = ['PATH', 'HOME'].flatMap((name) => ['--env', name]);
  const running = execa(
    locateLauncher(),
    ['--die-with-parent', ...variables, '--', network.helper, ...words],
    { reject: false, stdin: 'ignore', all: true, buffer: true },
  );
  let ended = false;
  void running.then(() => {
    ended = true;
  });
  const stop = async (): Promise<void> => {
    running.kill('SIGTERM');
    await Promise.race([running, wait(LAST_PATIENCE_MS, undefined, { ref: false })]);
    // Processes that it has started may keep its output open.
    for (const stream of [running.stdout, running.stderr, running.all]) stream.destroy();
    await running;
    directory?.remove();
  };
  const before = Date.now();
  while (!ended && !hasRoute(pid) && !isGone()) {
    if (Date.now() - before > PATIENCE_MS) break;
    await wait(5);
  }
  if (isGone()) return { stop };
  if (!hasRoute(pid)) {
    await stop();
    const said = (await running).all?.trim().split('\n').at(-1) ?? '';
    throw new JailbuildError(
      'LAUNCHER_FAILED',
      `${network.helper}: gives the jail no network: ${said || 'no answer'}: try --network ${network.helper === 'pasta' ? 'slirp4netns' : 'pasta'}, or host`,
    );
  }
  if (socket !== undefined) for (const port of forwards) await forward(socket, port, stop);
  directory?.remove();
  return { stop };
}

/** Returns whether a process has a route other than that of the loopback interface. */
function hasRoute(pid: number): boolean {
  const routes = (file: string): string[] => {
    try {
      return readFileSync(`/proc/${pid}/net/${file}`, 'utf8').split('\n');
    } catch {
      return [];
    }
  };
  const v4 = routes('route').some((line) => /^\S+\t00000000\t/.test(line));
  return v4 || routes('ipv6_route').some((line) => /^0{32} 00 .* (?!lo)\S+$/.test(line));
}

function slirpWords(pid: number, socket: string | undefined): string[] {
  return [
    ...['--configure', '--mtu=65520', '--disable-host-loopback'],
    ...(socket === undefined ? [] : ['--api-socket', socket]),
    ...[String(pid), 'tap0'],
  ];
}

/** Blocks the host's loopback in both directions, except for published ports. */
function pastaWords({ publish }: OutgoingNetwork, pid: number): string[] {
  const ports = (protocol: string): string[] => {
    const of = publish.filter((port) => port.protocol === protocol);
    if (of.length === 0) return ['none'];
    return of.map(({ address, host, jail }) => `${address ? `${address}/` : ''}${host}:${jail}`);
  };
  return [
    ...['--foreground', '--config-net', '--no-map-gw', '-T', 'none', '-U', 'none'],
    ...ports('tcp').flatMap((port) => ['-t', port]),
    ...ports('udp').flatMap((port) => ['-u', port]),
    String(pid),
  ];
}

/** Adds port forwards (slirp4netns(1), API socket). */
async function forward(
  socket: string,
  { protocol, address = '0.0.0.0', host, jail }: PublishedPort,
  stop: () => Promise<void>,
): Promise<void> {
  const request = {
    execute: 'add_hostfwd',
    arguments: { proto: protocol, host_addr: address, host_port: host, guest_port: jail },
  };
  const answer = await ask(socket, JSON.stringify(request));
  const { error } = JSON.parse(answer || '{"error":{"desc":"no answer"}}') as {
    readonly error?: { readonly desc?: string };
  };
  if (error === undefined) return;
  await stop();
  throw new JailbuildError(
    'LAUNCHER_FAILED',
    `--publish ${host}:${jail}: slirp4netns refused it: ${error.desc ?? 'no reason given'}: choose a port that is free`,
  );
}

/** Returns the answer of slirp4netns, which opens its socket only after it has configured the network. */
async function ask(socket: string, request: string): Promise<string> {
  const before = Date.now();
  for (;;) {
    try {
      return await send(socket, request);
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      const isEarly = code === 'ENOENT' || code === 'ECONNREFUSED';
      if (!isEarly || Date.now() - before > PATIENCE_MS) {
        return JSON.stringify({ error: { desc: message } });
      }
      await wait(5);
    }
  }
}

async function send(socket: string, request: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    const connection = createConnection(socket, () => connection.end(request));
    connection.setEncoding('utf8');
    connection.on('data', (part) => {
      text += part;
    });
    connection.on('close', () => resolve(text));
    connection.on('error', reject);
  });
}

/**
 * Parses [ADDRESS:]HOST:JAIL[/tcp|udp] as podman's --publish does; an IPv6 address is in brackets.
 *
 * @throws JailbuildError USAGE
 */
export function parsePublish(option: string, text: string): PublishedPort {
  const [, bracketed, plain, host, jail, protocol = 'tcp'] =
    /^(?:(?:\[([\da-f:.]+)\]|([\d.]+)):)?(\d+):(\d+)(?:\/(tcp|udp))?$/i.exec(text) ?? [];
  const address = bracketed ?? plain;
  const isPort = (port: string | undefined): boolean => Number(port) >= 1 && Number(port) <= 65_535;
  if (!isPort(host) || !isPort(jail))
    throw new JailbuildError('USAGE', `${option} ${text}: give [ADDRESS:]HOST:JAIL[/udp]`);
  return {
    protocol: protocol.toLowerCase() as 'tcp' | 'udp',
    ...(address === undefined ? {} : { address }),
    host: Number(host),
    jail: Number(jail),
  };
}
