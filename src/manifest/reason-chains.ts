import { baseName } from '../text/base-name.js';
import type { Entry, Manifest, Reason } from './manifest.js';
import { reasonSource } from './reason-source.js';

/** An entry of a chain and its reason: the user's request, or the entry before it. */
export interface ChainLink {
  readonly path: string;
  readonly reason: Reason;
}

/** The reasons for an entry. */
export interface ReasonChains {
  /** Chains from the request to the entry, the shortest first. */
  readonly chains: readonly (readonly ChainLink[])[];
  /** Whether there are more chains. */
  readonly more: boolean;
}

/** Limits the steps of the search, which hostile records could make endless. */
const MAX_STEPS = 200_000;

/**
 * Returns the chains of reasons that lead to an entry, without circles.
 *
 * @param path the path of an entry in the manifest
 * @param limit the maximum number of chains
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
 * Returns the entry that a path leads to, through symbolic links of the manifest; for a name
 * without slash, all entries of that name.
 *
 * @returns an empty list if there are none
 */
export function entriesNamed({ entries }: Manifest, name: string): Entry[] {
  if (!name.includes('/')) {
    return entries.filter(({ path }) => baseName(path) === name);
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
    // A link at the end of the path is itself the result.
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
