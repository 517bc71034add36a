import { type ChildProcess, spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { connect, createServer } from 'node:net';
import { PATIENCE } from './process.js';

const PAUSE = 30;
/**
 * Below the ports that Linux gives to clients and to servers without a port (ip(7),
 * ip_local_port_range): one of these could be taken before the server of the test starts.
 */
const PORTS = [10_000, 32_768] as const;

/** Returns a TCP port on which nothing listens, at random, so that tests at once differ. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(...PORTS);
    if (await isFree(port)) return port;
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve(false);
      else reject(error);
    });
    server.listen(port, () => server.close(() => resolve(true)));
  });
}

export interface RunningServer {
  /** Returns the output so far. */
  readonly output: () => string;
  /** Ends the server by SIGTERM, or by SIGKILL if it does not end in time. */
  stop(): Promise<void>;
  /** Ends the server without a chance to clean up. */
  kill(): Promise<void>;
}

/** Starts a server in the foreground and waits until it listens on a port of 127.0.0.1. */
export function startServer(
  file: string,
  args: readonly string[],
  port: number,
  env: NodeJS.ProcessEnv = process.env,
): Promise<RunningServer> {
  const name = `${file} on port ${port}`;
  return startUntil(name, [file, ...args], () => answers(port), { env });
}

/**
 * Starts a server in the foreground and waits until it is ready.
 *
 * @param name of the server, for the error
 * @param patience time limit in milliseconds for the start, and for the end after SIGTERM
 */
export async function startUntil(
  name: string,
  [file = '', ...args]: readonly string[],
  isReady: () => boolean | Promise<boolean>,
  { env = process.env, patience = PATIENCE }: { env?: NodeJS.ProcessEnv; patience?: number } = {},
): Promise<RunningServer> {
  const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'pipe'], env });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (data: Buffer) => {
      output += data.toString();
    });
  }
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  const stop = async () => {
    child.kill('SIGTERM');
    const force = setTimeout(() => child.kill('SIGKILL'), patience);
    await ended;
    clearTimeout(force);
  };
  const kill = async () => {
    child.kill('SIGKILL');
    await ended;
  };
  const deadline = Date.now() + patience;
  while (!(await isReady())) {
    if (hasEnded(child) || Date.now() > deadline) {
      await stop();
      throw new Error(`${name} is not ready: ${output}`);
    }
    await new Promise((resolve) => setTimeout(resolve, PAUSE));
  }
  return { output: () => output, stop, kill };
}

function hasEnded({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null;
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
