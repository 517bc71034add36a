import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { freePort, startServer } from './server.js';

export interface Registry {
  /** As `127.0.0.1:5000`. */
  readonly address: string;
  stop(): Promise<void>;
}

/**
 * Starts docker-registry(1) with its storage in a directory, which is made.
 *
 * @param tls files with a certificate and its key; without them it speaks plain HTTP
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
      http: { addr: address, ...(tls === undefined ? {} : { tls }) },
    }),
  );
  const server = await startServer('docker-registry', ['serve', configuration], port);
  return { address, stop: () => server.stop() };
}
