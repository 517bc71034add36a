import { JailbuildError } from '../errors.js';
import { isTrace, type Sysroot } from '../fs/sysroot.js';
import type { AccountRequest } from '../manifest/account-request.js';

const PASSWD = '/etc/passwd';
const GROUP = '/etc/group';
/** The default shell, that of useradd(8). */
const DEFAULT_SHELL = '/bin/sh';

/** A line of passwd(5), without the password. */
export interface User {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly gecos: string;
  readonly home: string;
  readonly shell: string;
}

/** A line of group(5), without the password. */
export interface Group {
  readonly name: string;
  readonly gid: number;
  readonly members: readonly string[];
}

/** The users and groups of a sysroot, from its own passwd and group files. */
export class AccountDatabase {
  readonly users: readonly User[];
  readonly groups: readonly Group[];
  /** The later modification time of the two files; 0 if neither exists. */
  readonly mtimeNs: bigint;

  constructor(sysroot: Sysroot) {
    const passwd = lines(sysroot, PASSWD);
    const group = lines(sysroot, GROUP);
    this.mtimeNs = group.mtimeNs;
    if (passwd.mtimeNs > this.mtimeNs) this.mtimeNs = passwd.mtimeNs;
    this.users = passwd.fields.flatMap(([name = '', , uid, gid, gecos = '', home = '/', shell]) =>
      isId(uid) && isId(gid)
        ? [{ name, uid: Number(uid), gid: Number(gid), gecos, home, shell: shell || DEFAULT_SHELL }]
        : [],
    );
    this.groups = group.fields.flatMap(([name = '', , gid, members = '']) =>
      isId(gid)
        ? [{ name, gid: Number(gid), members: members.split(',').filter((item) => item !== '') }]
        : [],
    );
  }

  user(name: string): User | undefined {
    return this.users.find((user) => user.name === name);
  }
}

/** The users and groups of a jail: the named ones, and their groups. */
export class JailAccounts {
  readonly #database: AccountDatabase;
  readonly #users = new Map<string, User>();
  readonly #groups = new Map<string, { gid: number; members: Set<string> }>();

  constructor(database: AccountDatabase) {
    this.#database = database;
  }

  get isEmpty(): boolean {
    return this.#users.size === 0 && this.#groups.size === 0;
  }

  get users(): readonly User[] {
    return [...this.#users.values()];
  }

  /**
   * Adds a user; takes missing fields from the sysroot.
   *
   * @throws JailbuildError USER_NOT_FOUND
   */
  addUser(request: AccountRequest): User {
    const known = this.#database.user(request.name);
    const uid = request.uid ?? known?.uid;
    if (uid === undefined) {
      throw new JailbuildError(
        'USER_NOT_FOUND',
        `${request.name}: no such user in the sysroot's ${PASSWD}: to create one, use ${request.name}:UID`,
        request.name,
      );
    }
    const sameUid = known?.uid === uid ? known : undefined;
    const user: User = {
      name: request.name,
      uid,
      gid: request.gid ?? sameUid?.gid ?? uid,
      gecos: request.gecos ?? sameUid?.gecos ?? '',
      home: request.home ?? sameUid?.home ?? `/home/${request.name}`,
      shell: request.shell ?? sameUid?.shell ?? DEFAULT_SHELL,
    };
    checkFields(user);
    this.#users.set(user.name, user);
    this.#addPrimaryGroup(user);
    for (const { name, gid, members } of this.#database.groups) {
      if (sameUid !== undefined && members.includes(user.name)) this.#join(name, gid, user.name);
    }
    for (const name of request.groups ?? []) {
      this.addGroup(name);
      this.#groups.get(name)?.members.add(user.name);
    }
    return user;
  }

  /** @throws JailbuildError USER_NOT_FOUND for a group that the sysroot does not define */
  addGroup(name: string): void {
    if (this.#groups.has(name)) return;
    const known = this.#database.groups.find((group) => group.name === name);
    if (known === undefined) {
      throw new JailbuildError(
        'USER_NOT_FOUND',
        `${name}: no such group in the sysroot's ${GROUP}`,
        name,
      );
    }
    this.#groups.set(name, { gid: known.gid, members: new Set() });
  }

  hasGroup(name: string): boolean {
    return this.#database.groups.some((group) => group.name === name);
  }

  /** Returns the ID of a user, from the jail's accounts or the sysroot's. */
  uidOf(name: string): number | undefined {
    return (this.#users.get(name) ?? this.#database.user(name))?.uid;
  }

  gidOf(name: string): number | undefined {
    return (
      this.#groups.get(name)?.gid ?? this.#database.groups.find((group) => group.name === name)?.gid
    );
  }

  /** Returns passwd(5), sorted by ID. `*` matches no password. */
  passwd(): string {
    return this.users
      .toSorted((a, b) => a.uid - b.uid || (a.name < b.name ? -1 : 1))
      .map(({ name, uid, gid, gecos, home, shell }) =>
        [name, '*', uid, gid, gecos, home, shell].join(':'),
      )
      .map((line) => `${line}\n`)
      .join('');
  }

  /** Returns group(5), sorted by ID. Only users of the jail are members. */
  group(): string {
    return [...this.#groups]
      .sort(([a, { gid: first }], [b, { gid: second }]) => first - second || (a < b ? -1 : 1))
      .map(([name, { gid, members }]) => `${name}:*:${gid}:${[...members].sort().join(',')}\n`)
      .join('');
  }

  #addPrimaryGroup({ name, gid }: User): void {
    if ([...this.#groups.values()].some((group) => group.gid === gid)) return;
    const known = this.#database.groups.find((group) => group.gid === gid);
    const taken = this.#groups.has(known?.name ?? name);
    this.#groups.set(taken ? `${name}${gid}` : (known?.name ?? name), { gid, members: new Set() });
  }

  #join(name: string, gid: number, member: string): void {
    const group = this.#groups.get(name) ?? { gid, members: new Set() };
    group.members.add(member);
    this.#groups.set(name, group);
  }
}

/** Separators of fields and lines (passwd(5)), and other control characters. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
const NO_FIELD = /[:\x00-\x1f\x7f]/;
const MAX_ID = 0xffff_fffe;

/**
 * Refuses a user whose fields would form a different line of passwd(5).
 *
 * @throws JailbuildError USAGE
 */
function checkFields(user: User): void {
  const refuse = (why: string): never => {
    throw new JailbuildError('USAGE', `user ${JSON.stringify(user.name)}: ${why}`, user.name);
  };
  for (const field of ['name', 'gecos', 'home', 'shell'] as const) {
    if (NO_FIELD.test(user[field])) {
      refuse(`${field} ${JSON.stringify(user[field])} contains a colon or a control character`);
    }
  }
  // Lines that begin like this are NIS entries or comments (nsswitch.conf(5), "compat").
  if (user.name === '' || /^[-+#]|[,/]/.test(user.name)) refuse('is not a valid user name');
  for (const field of ['uid', 'gid'] as const) {
    const id = user[field];
    if (!Number.isInteger(id) || id < 0 || id > MAX_ID) refuse(`${field} ${id} is not a valid ID`);
  }
  if (/(^|\/)\.{1,2}(\/|$)/.test(user.home)) refuse(`home ${user.home} contains . or ..`);
}

/** Returns the fields of each line, without comments and NIS entries (nsswitch.conf(5)). */
function lines(sysroot: Sysroot, path: string): { fields: string[][]; mtimeNs: bigint } {
  const trace = sysroot.trace(path);
  if (!isTrace(trace) || trace.stat.type !== 'file') return { fields: [], mtimeNs: 0n };
  const fields = sysroot
    .readText(trace)
    .split('\n')
    .filter((line) => /^[^#+:-]/.test(line))
    .map((line) => line.split(':'));
  return { fields, mtimeNs: trace.stat.mtimeNs };
}

function isId(text: string | undefined): text is string {
  return text !== undefined && /^\d{1,10}$/.test(text);
}
