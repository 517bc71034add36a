import type { Attachment } from '../export/referrers.js';
import type { Entry } from '../manifest/manifest.js';
import type { SbomFormat } from './document.js';
import { PROVENANCE_TYPE, type ProvenanceFacts, provenance, STATEMENT_TYPE } from './provenance.js';

/** Media types that are registered for bills of materials. */
const SBOM_TYPE = {
  cyclonedx: 'application/vnd.cyclonedx+json',
  spdx: 'application/spdx+json',
} as const;

export interface Attached {
  readonly name: string;
  /** With digests, where provenance is attached. */
  readonly entries: readonly Entry[];
  readonly sbom: { readonly format: SbomFormat; readonly text: string } | undefined;
  readonly isProven: boolean;
  readonly image: ProvenanceFacts['image'] | undefined;
}

/** Returns what is attached to an image, by the digest of its manifest. */
export function attachmentsFor({ name, entries, sbom, isProven, image }: Attached) {
  return (digest: string): readonly Attachment[] => {
    const attachments: Attachment[] = [];
    if (sbom !== undefined) {
      attachments.push({ artifactType: SBOM_TYPE[sbom.format], content: Buffer.from(sbom.text) });
    }
    if (isProven) {
      const command = process.argv.slice(2);
      const facts = { name, digest, command, entries, ...(image === undefined ? {} : { image }) };
      attachments.push({
        artifactType: STATEMENT_TYPE,
        content: Buffer.from(provenance(facts)),
        annotations: { 'in-toto.io/predicate-type': PROVENANCE_TYPE },
      });
    }
    return attachments;
  };
}
