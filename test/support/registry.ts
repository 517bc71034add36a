import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { freePort, startServer } from './server.js';

export interface Registry {
  /** Such as `127.0.0.1:5000`. */
  readonly address: string;
  readonly port: number;
  /** Kills the registry as a crash would, and starts it again with the same storage. */
  crash(): Promise<void>;
  stop(): Promise<void>;
}

/**
 * Starts docker-registry(1) with its storage in a new directory.
 *
 * @param tls files with a certificate and its key; without them it uses plain HTTP
 */
export async function startRegistry(
  directory: string,
  tls?: { readonly certificate: string; readonly key: string },
): Promise<Registry> {
  mkdirSync(directory);
  const port = await freePort();
  const address = `127.0.0.1:${port}`;
  const configuration = path.join(directory, 'registry.yml');
  writeFileSync(
    configuration,
    JSON.stringify({
      version: 0.1,
      log: { level: 'error' },
      storage: { filesystem: { rootdirectory: directory } },
      http: { addr: address, secret: 'of the tests', ...(tls === undefined ? {} : { tls }) },
    }),
  );
  const start = () => startServer('docker-registry', ['serve', configuration], port);
  let server = await start();
  return {
    address,
    port,
    async crash() {
      await server.kill();
      server = await start();
    },
    stop: () => server.stop(),
  };
}
