/** Kinds of findings, in the order of reports; docs/cli.md describes each. */
export const FINDING_KINDS = [
  'missing',
  'changed',
  'foreign',
  'unresolved',
  'set-id',
  'writable',
  'stale',
  'limit',
] as const;

/** A kind of finding. */
export type FindingKind = (typeof FINDING_KINDS)[number];

/** One thing in which a jail is not as it was built, or as it would be built now. */
export interface CheckFinding {
  readonly kind: FindingKind;
  /** Inside the jail. */
  readonly path: string;
  /** What about it, in the words of a manifest's fields where there is one. */
  readonly details: readonly string[];
}
