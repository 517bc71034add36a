/** Kinds of findings in report order, described in docs/cli.md. */
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

/** One deviation of a jail from its record, or from what a build would make now. */
export interface CheckFinding {
  readonly kind: FindingKind;
  /** Inside the jail. */
  readonly path: string;
  /** The deviations, named like fields of the manifest where possible. */
  readonly details: readonly string[];
}

/** Records a finding. */
export type ReportFinding = (kind: FindingKind, path: string, details: readonly string[]) => void;
