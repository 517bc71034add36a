/**
 * Why a run failed: its exit status is another, its output does not match, or it was killed at its
 * time limit.
 */
export type ProofFailure = 'status' | 'output' | 'timeout';

/** How a run ended. */
export interface ProofOutcome {
  /** The exit status. */
  readonly status: number;
  /** Only if the run failed. */
  readonly failure?: ProofFailure;
}

/** Returns how a run ended, as a predicate: `failed with status 1`. */
export function endText({ status, failure }: ProofOutcome): string {
  if (failure === undefined) return 'succeeded';
  return {
    status: `failed with status ${status}`,
    output: `ended with status ${status}, but its output does not match`,
    timeout: 'did not end within its time limit',
  }[failure];
}
