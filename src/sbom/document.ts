import type { Inventory } from './inventory.js';
import type { SbomSubject } from './subject.js';

/** The format of a bill of materials. */
export type SbomFormat = 'cyclonedx' | 'spdx';

/** The conventional file name suffix of each format. */
export const SBOM_EXTENSION = { cyclonedx: '.cdx.json', spdx: '.spdx.json' } as const;

/** Formats an inventory as a JSON document; equal inventories and subjects give equal bytes. */
export async function sbomDocument(
  format: SbomFormat,
  inventory: Inventory,
  subject: SbomSubject,
): Promise<string> {
  const document =
    format === 'cyclonedx'
      ? (await import('./cyclonedx.js')).cycloneDx(inventory, subject)
      : (await import('./spdx.js')).spdx(inventory, subject);
  return `${JSON.stringify(document, undefined, 2)}\n`;
}
