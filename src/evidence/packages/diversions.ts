/** Where the files of a path are instead, and which package has the original path. */
interface Diversion {
  readonly to: string;
  readonly by: string;
}

/** Diversions by their original paths, and original paths by their diverted ones. */
export interface Diversions {
  readonly to: ReadonlyMap<string, Diversion>;
  readonly back: ReadonlyMap<string, string>;
}

/**
 * Parses diversions, three lines each: the file, its path instead, and the package that takes the
 * original path.
 */
export function readDiversions(text: string): Diversions {
  const lines = text.split('\n');
  const diversions = new Map<string, Diversion>();
  for (let index = 0; index + 2 < lines.length; index += 3) {
    const [from = '', to = '', by = ''] = lines.slice(index, index + 3);
    diversions.set(from, { to, by });
  }
  return { to: diversions, back: new Map([...diversions].map(([from, { to }]) => [to, from])) };
}
