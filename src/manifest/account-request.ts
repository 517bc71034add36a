import { JailbuildError } from '../errors.js';

/** A user for the jail's passwd(5). Missing fields are taken from the sysroot's passwd. */
export interface AccountRequest {
  readonly name: string;
  readonly uid?: number;
  readonly gid?: number;
  readonly home?: string;
  readonly shell?: string;
  /** The comment field: the user's full name. */
  readonly gecos?: string;
  /** Supplementary groups. */
  readonly groups?: readonly string[];
}

/** The names that useradd(8) of Debian accepts. */
const NAME = /^[a-z_][a-z0-9_.-]{0,31}\$?$/i;
/** (uid_t) -1 means "no change" to chown(2) and is not a valid ID. */
export const MAX_ID = 0xffff_fffe;

export function isAccountName(name: string): boolean {
  return NAME.test(name);
}

/**
 * Parses `name[:uid[:gid]]`. A uid without a gid implies the same gid.
 *
 * @throws JailbuildError USAGE
 */
export function parseAccount(text: string): AccountRequest {
  const [name = '', uid, gid, ...rest] = text.split(':');
  const ids = [uid, gid].map((word) => (word === undefined ? undefined : parseId(word)));
  if (!isAccountName(name) || rest.length > 0 || ids.includes(Number.NaN)) {
    throw new JailbuildError(
      'USAGE',
      `user ${text}: is not of the form NAME, NAME:UID or NAME:UID:GID`,
    );
  }
  return {
    name,
    ...(ids[0] === undefined ? {} : { uid: ids[0], gid: ids[1] ?? ids[0] }),
  };
}

function parseId(word: string): number {
  const id = /^\d{1,10}$/.test(word) ? Number(word) : Number.NaN;
  return id <= MAX_ID ? id : Number.NaN;
}
