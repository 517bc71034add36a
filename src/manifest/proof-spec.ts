/** A command that must succeed in a jail. */
export interface ProofSpec {
  readonly name: string;
  readonly command: readonly string[];
  /** Standard input; empty if absent. */
  readonly stdin?: string;
  /** The expected exit status; 0 if absent. */
  readonly status?: number;
  /** A regular expression that standard output and standard error, combined, must match. */
  readonly output?: string;
  /** Time limit in seconds. */
  readonly timeout?: number;
}
