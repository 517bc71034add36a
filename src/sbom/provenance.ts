import packageJson from '../../package.json' with { type: 'json' };
import { pathBuffer } from '../fs/path-bytes.js';
import type { Entry } from '../manifest/manifest.js';

/** The media type of an in-toto statement, and the predicate type that distinguishes provenance. */
export const STATEMENT_TYPE = 'application/vnd.in-toto+json';
export const PROVENANCE_TYPE = 'https://slsa.dev/provenance/v1';

/** The inputs of an image and the command that made it. */
export interface ProvenanceFacts {
  readonly name: string;
  /** `sha256:HEX` of the image's manifest. */
  readonly digest: string;
  /** The command line, without the program. */
  readonly command: readonly string[];
  /** Entries with the digests of files. */
  readonly entries: readonly Entry[];
  /** The image that files were taken from, by its reference and the digest of its configuration. */
  readonly image?: { readonly reference: string; readonly id: string };
}

/**
 * Returns the provenance of an image as an in-toto statement (SLSA Provenance v1): its inputs by
 * digest, the command and the version. It contains no time; equal inputs give equal bytes.
 */
export function provenance({ name, digest, command, entries, image }: ProvenanceFacts): string {
  const inputs = new Map<string, string>();
  for (const entry of entries) {
    if (entry.type !== 'file' || entry.source === undefined || entry.digest === undefined) continue;
    inputs.set(uriOf(entry.source), entry.digest);
  }
  const files = [...inputs]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([uri, of]) => resource(uri, of));
  const base = image === undefined ? [] : [resource(image.reference, image.id)];
  const statement = {
    _type: 'https://in-toto.io/Statement/v1',
    subject: [{ name, digest: digestSet(digest) }],
    predicateType: PROVENANCE_TYPE,
    predicate: {
      buildDefinition: {
        buildType: `pkg:npm/${packageJson.name}#export/v1`,
        externalParameters: { command },
        internalParameters: {},
        resolvedDependencies: [...base, ...files],
      },
      runDetails: {
        builder: {
          id: `pkg:npm/${packageJson.name}`,
          version: { [packageJson.name]: packageJson.version },
        },
      },
    },
  };
  return `${JSON.stringify(statement, undefined, 2)}\n`;
}

function resource(uri: string, digest: string) {
  return { uri, digest: digestSet(digest) };
}

function digestSet(digest: string) {
  return { sha256: digest.replace(/^sha256:/, '') };
}

/** Returns the URI of a path; bytes that are not UTF-8 are kept. */
function uriOf(path: string): string {
  return `file://${path.split('/').map(encodePart).join('/')}`;
}

function encodePart(part: string): string {
  return part.replace(/[^A-Za-z0-9._~+@:-]/gu, (character) =>
    [...pathBuffer(character)]
      .map((byte) => `%${byte.toString(16).padStart(2, '0').toUpperCase()}`)
      .join(''),
  );
}
