import type { Entry, Manifest, Reason } from './manifest.js';
import { reasonSource } from './reason-source.js';

/** One entry of a chain, and why it is there: the user's own wish, or the entry before it. */
export interface ChainLink {
  readonly path: string;
  readonly reason: Reason;
}

/** Why an entry is there. */
export interface ReasonChains {
  /** From what was asked for to the entry. The shortest come first. */
  readonly chains: readonly (readonly ChainLink[])[];
  /** True if there are more. */
  readonly more: boolean;
}

/** Steps of the search after which it gives up: hostile records could make it endless. */
const MAX_STEPS = 200_000;

/**
 * Every chain of reasons that leads to an entry, without going in circles.
 *
 * @param path of an entry, as the manifest has it
 * @param limit the number of chains that are wanted
 */
export function reasonChains(manifest: Manifest, path: string, limit: number): ReasonChains {
  const reasons = new Map(manifest.entries.map((entry) => [entry.path, entry.reasons]));
  const chains: ChainLink[][] = [];
  // Breadth first, from the entry backwards.
  const queue: ChainLink[][] = (reasons.get(path) ?? []).map((reason) => [{ path, reason }]);
  for (let step = 0; step < queue.length && step < MAX_STEPS; step++) {
    const chain = queue[step];
    const first = chain?.[0];
    if (chain === undefined || first === undefined) continue;
    const source = reasonSource(first.reason);
    const before = source === undefined ? undefined : reasons.get(source);
    if (source === undefined || before === undefined) {
      if (chains.length === limit) return { chains, more: true };
      chains.push(chain);
      continue;
    }
    if (chain.some((link) => link.path === source)) continue;
    for (const reason of before) queue.push([{ path: source, reason }, ...chain]);
  }
  return { chains, more: queue.length > MAX_STEPS };
}

/**
 * The entry that a path leads to, through symbolic links of the manifest; for a name without slash,
 * all entries of that name.
 *
 * @returns no entries where there are none
 */
export function entriesNamed({ entries }: Manifest, name: string): Entry[] {
  if (!name.includes('/')) {
    return entries.filter(({ path }) => path.slice(path.lastIndexOf('/') + 1) === name);
  }
  const byPath = new Map(entries.map((entry) => [entry.path, entry]));
  let parts = name.split('/').reverse();
  let at = '';
  for (let followed = 0; parts.length > 0; ) {
    const part = parts.pop();
    if (part === undefined || part === '' || part === '.') continue;
    if (part === '..') {
      at = at.slice(0, Math.max(0, at.lastIndexOf('/')));
      continue;
    }
    const entry = byPath.get(`${at}/${part}`);
    if (entry === undefined) return [];
    // The last link is the entry that is meant, not what is behind it.
    if (entry.type !== 'symlink' || parts.length === 0) {
      at = entry.path;
      continue;
    }
    if (++followed > MAX_LINKS) return [];
    if (entry.target.startsWith('/')) at = '';
    parts = [...parts, ...entry.target.split('/').reverse()];
  }
  const found = byPath.get(at);
  return found === undefined ? [] : [found];
}

/** The kernel follows at most this many symbolic links in one look-up (path_resolution(7)). */
const MAX_LINKS = 40;
