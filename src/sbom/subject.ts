import { createHash } from 'node:crypto';
import { uuidOfHash } from '../text/uuid.js';

/** The subject of a bill of materials, in addition to the inventory. */
export interface SbomSubject {
  /** The name of the image or jail. */
  readonly name: string;
  readonly version?: string;
  readonly created: Date;
  /** The version of jailbuild. */
  readonly toolVersion: string;
}

/** Returns a document's UUID, derived from its content. */
export function contentUuid(document: object): string {
  return uuidOfHash(createHash('sha256').update(JSON.stringify(document)).digest());
}

/** Parses `Name <address>`, the format of maintainers in Debian and Alpine. */
export function contactOf(supplier: string): { readonly name: string; readonly email?: string } {
  const [, name = '', email] = /^([^<]*)<([^>]+)>\s*$/.exec(supplier) ?? [];
  if (email === undefined) return { name: supplier.trim() };
  return { name: name.trim().replace(/^"|"$/g, '') || email, email };
}
