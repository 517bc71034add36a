/**
 * A destination for output. A regular file appears complete at `commit` or not at all; devices, fifos and descriptors
 * are written directly. All methods throw JailbuildError WRITE_FAILED.
 */
export interface OutputFile {
  /** Bytes written so far. */
  readonly size: number;
  /** Whether `patch` can replace what was written, and nothing is visible before `commit`. */
  readonly isDraft: boolean;
  readonly isTerminal: Promise<boolean>;
  append(...chunks: readonly Uint8Array[]): Promise<void>;
  /** Appends a chunk before it returns: cheaper than `append` where nothing else is to be done meanwhile. Drafts only. */
  appendSync(chunk: Uint8Array): void;
  /**
   * Has another program write the whole content, from the start of a descriptor. Empty drafts only.
   *
   * @param write gets the descriptor and the path of the draft; resolves when the program is done; its system errors are
   *   those of the output
   * @returns what `write` returns
   */
  fill<T>(write: (fd: number, path: string) => Promise<T>): Promise<T>;
  /** Replaces bytes written earlier at an offset. Drafts only. */
  patch(offset: number, bytes: Uint8Array): void;
  /** Puts the file in place, a draft by one rename(2). */
  commit(): void;
  /** Abandons the output. Does nothing after `commit`. */
  discard(): void;
}
