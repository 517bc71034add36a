import { JailbuildError } from '../errors.js';
import type { Manifest } from '../plan/manifest.js';
import { describeMissing } from '../plan/missing.js';
import { jsonLine } from '../ui/json.js';
import { writeErr, writeOut } from '../ui/output.js';
import { printable } from '../ui/text.js';

/**
 * Tells an error: one line on stderr, and for machines the same as JSON on stdout. A defect of
 * jailbuild, that is anything but a JailbuildError, shows its stack.
 */
export function reportError(error: unknown, json: boolean): void {
  const known = error instanceof JailbuildError;
  const message = error instanceof Error ? error.message : String(error);
  if (json) {
    const code = known ? error.code : 'INTERNAL';
    const path = known ? error.path : undefined;
    writeOut(jsonLine({ status: 'failed', error: { code, message, path } }));
  }
  if (known) {
    writeErr(`jailbuild: ${printable(message)}\n`);
    return;
  }
  const stack = error instanceof Error ? (error.stack ?? message) : message;
  writeErr(`jailbuild: this is a defect, please report it\n${stack}\n`);
}

export function tellHint(message: string): void {
  writeErr(`jailbuild: hint: ${printable(message)}\n`);
}

export function warn(message: string): void {
  writeErr(`jailbuild: warning: ${printable(message)}\n`);
}

/** Tells what a plan warns of, and what was noticed when it was followed. */
export function tellWarnings(manifest: Manifest, notes: readonly string[] = []): void {
  for (const library of manifest.missing) warn(describeMissing(library));
  for (const warning of [...manifest.warnings, ...notes]) warn(warning);
}
