import path from 'node:path';
import { JailbuildError } from '../errors.js';
import type { Reason } from '../manifest/manifest.js';
import type { FileCollection, MadeFile } from '../resolve/file-collection.js';
import type { JailAccounts } from './accounts.js';
import type { Alternatives, DeviceSpec, DirectorySpec, FileSpec, LinkSpec } from './profile.js';

/** Adds the entries that profiles describe, with owners of the jail's accounts. */
export class MadeEntries {
  readonly #files: FileCollection;
  readonly #accounts: JailAccounts;
  readonly #warnings: string[];
  readonly #defaults: { readonly uid: 0; readonly gid: 0; readonly mtimeNs: bigint };

  /**
   * @param mtimeNs the time of the entries
   * @param warnings receives one for each owner that does not exist
   */
  constructor(files: FileCollection, accounts: JailAccounts, mtimeNs: bigint, warnings: string[]) {
    this.#files = files;
    this.#accounts = accounts;
    this.#warnings = warnings;
    this.#defaults = { uid: 0, gid: 0, mtimeNs };
  }

  makeFile(spec: FileSpec, content: string, reason: Reason): void {
    const mode = octal(spec.mode, 0o644);
    this.make(
      [spec.path].flat()[0] ?? '',
      { type: 'file', content: Buffer.from(content), mode, ...this.#owner(spec) },
      reason,
    );
  }

  makeDirectory(spec: DirectorySpec, reason: Reason): void {
    this.make(
      spec.path,
      { type: 'directory', mode: octal(spec.mode, 0o755), ...this.#owner(spec) },
      reason,
    );
  }

  makeLink({ path, target }: LinkSpec, reason: Reason): void {
    this.make(path, { type: 'symlink', mode: 0o777, target }, reason);
  }

  makeDevice(spec: DeviceSpec, reason: Reason): void {
    const type = spec.type === 'fifo' ? 'fifo' : (`${spec.type}-device` as const);
    const { major = 0, minor = 0 } = spec;
    this.make(
      spec.path,
      {
        type,
        mode: octal(spec.mode, 0o666),
        ...(type === 'fifo' ? {} : { device: { major, minor } }),
        ...this.#owner(spec),
      },
      reason,
    );
  }

  /**
   * Adds an entry that is not a copy of a file.
   *
   * @param made by default owned by root, with the time of the account database
   * @returns its path in the jail
   */
  make(
    path: string,
    made: Partial<MadeFile> & Pick<MadeFile, 'type' | 'mode'>,
    reason: Reason,
  ): string {
    return this.#files.addMade(jailPath(path), { ...this.#defaults, ...made }, reason);
  }

  #owner({ path, owner, group }: Owned): { uid: number; gid: number } {
    const id = (
      of: Alternatives | number | undefined,
      what: string,
      look: (name: string) => number | undefined,
    ): number => {
      if (typeof of === 'number') return of;
      const names = [of ?? []].flat();
      for (const name of names) {
        const found = look(name);
        if (found !== undefined) return found;
      }
      if (names.length > 0) {
        const [at = ''] = [path].flat();
        this.#warnings.push(`${at}: no ${what} ${names.join(' or ')} exists: its owner is root`);
      }
      return 0;
    };
    return {
      uid: id(owner, 'user', (name) => this.#accounts.uidOf(name)),
      gid: id(group, 'group', (name) => this.#accounts.gidOf(name)),
    };
  }
}

/** A made file and its owners. */
type Owned = Pick<FileSpec, 'path' | 'owner' | 'group'>;

function octal(text: string | undefined, fallback: number): number {
  return text === undefined ? fallback : Number.parseInt(text, 8);
}

/**
 * Returns a path of the jail without `.`, `..` and redundant slashes; `..` at its root stays there.
 */
function jailPath(text: string): string {
  const plain = path.posix.normalize(text).replace(/(?<=.)\/$/, '');
  if (plain.startsWith('/') && plain !== '/' && !plain.includes('\0')) return plain;
  throw new JailbuildError(
    'PROFILE_INVALID',
    `${JSON.stringify(text)}: is not a path in a jail`,
    text,
  );
}
