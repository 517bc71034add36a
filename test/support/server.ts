import { type ChildProcess, spawn } from 'node:child_process';
import { connect, createServer } from 'node:net';

/** Time limit for the first answer of a server in milliseconds, generous for a loaded machine. */
const PATIENCE = 20_000;
const PAUSE = 30;

/** Returns a TCP port of the loopback interface on which nothing listens. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      const port = typeof address === 'object' && address !== null ? address.port : 0;
      server.close(() => resolve(port));
    });
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
