import type { Engine } from './engine.js';
import { NodeEngine } from './node-engine.js';

/**
 * The best engine that there is on this machine.
 *
 * @param base the directory that it works below
 * @param sourceRoot the directory that sources are named from
 */
export async function openEngine(base: string, sourceRoot: string): Promise<Engine> {
  return new NodeEngine(base, sourceRoot);
}
