/** Files that the user adds to the jail. */
export interface IncludeRequest {
  /** A path or a glob(7) pattern with `**`; a directory includes everything below it. */
  readonly from: string;
  /** The absolute path in the jail, if it differs. */
  readonly to?: string;
}

/** Parses `FROM`, or `FROM:TO` with an absolute TO. */
export function parseInclude(text: string): IncludeRequest {
  const cut = text.lastIndexOf(':/');
  return cut < 1 ? { from: text } : { from: text.slice(0, cut), to: text.slice(cut + 1) };
}
