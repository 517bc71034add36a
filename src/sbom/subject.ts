import { createHash } from 'node:crypto';

/** What a bill of materials describes, in addition to the inventory. */
export interface SbomSubject {
  /** What is described: the name of an image or a jail. */
  readonly name: string;
  readonly version?: string;
  readonly created: Date;
  /** The version of jailbuild. */
  readonly toolVersion: string;
}

/**
 * A UUID that is made from a document's content, so that the same content has the same one (RFC 9562,
 * version 8).
 */
export function contentUuid(document: object): string {
  const hash = createHash('sha256').update(JSON.stringify(document)).digest();
  hash[6] = ((hash[6] ?? 0) & 0x0f) | 0x80;
  hash[8] = ((hash[8] ?? 0) & 0x3f) | 0x80;
  const hex = hash.toString('hex');
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    hex.slice(12, 16),
    hex.slice(16, 20),
    hex.slice(20, 32),
  ].join('-');
}

/** `Name <address>`, as Debian and Alpine name maintainers. */
export function contactOf(supplier: string): { readonly name: string; readonly email?: string } {
  const [, name = '', email] = /^([^<]*)<([^>]+)>\s*$/.exec(supplier) ?? [];
  if (email === undefined) return { name: supplier.trim() };
  return { name: name.trim().replace(/^"|"$/g, '') || email, email };
}
