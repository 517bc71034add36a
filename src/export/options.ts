import type { KeyObject } from 'node:crypto';
import type { RegistryOptions } from '../image/registry/access.js';
import type { FileTree } from './file-tree.js';
import type { StoreOptions } from './store-images.js';

export interface ExportOptions extends StoreOptions {
  /** Whether a file system gets a dm-verity hash tree. */
  readonly verity?: boolean;
  /** Access to registries. */
  readonly registry?: RegistryOptions;
  /** Signs images that are pushed to a registry. */
  readonly signingKey?: KeyObject;
  /** Whether to keep the images that the tag has for other platforms. */
  readonly append?: boolean;
  /** Whether the digest of an archive may be missing in the result, because nobody reads it. */
  readonly skipDigest?: boolean;
}

/** One of the images of an export. */
export interface ExportPart {
  readonly tree: FileTree;
  readonly options: ExportOptions;
}
