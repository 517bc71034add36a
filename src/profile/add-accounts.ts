import { pathBuffer } from '../fs/path-bytes.js';
import { isTrace } from '../fs/sysroot.js';
import type { Reason } from '../manifest/manifest.js';
import type { Resolution } from '../resolve/additions.js';
import type { JailAccounts, User } from './accounts.js';
import type { MadeEntries } from './made-entries.js';

/** Placeholder home directories, never created. */
const NO_HOME = new Set(['/', '/nonexistent', '/dev/null', '/var/empty']);

/**
 * Homes of services that the system makes at each start: sshd(8) requires that root owns /run/sshd.
 */
const RUN_TIME = /^(\/var)?\/run\/./;

/** The mode of new home directories (HOME_MODE of login.defs(5)). */
const HOME_MODE = 0o700;

/**
 * Adds /etc/passwd and /etc/group, and the home directories of users.
 *
 * @param added those of the accounts that are not yet in the jail
 */
export function addAccounts(
  resolution: Resolution,
  accounts: JailAccounts,
  made: MadeEntries,
  added: readonly User[],
): void {
  if (accounts.isEmpty) return;
  const { files } = resolution;
  const named = added.map(({ name }) => name);
  const reason = (name: string): Reason => ({ kind: 'account', name });
  for (const [file, text] of [
    ['/etc/passwd', accounts.passwd()],
    ['/etc/group', accounts.group()],
  ] as const) {
    const at = made.make(
      file,
      { type: 'file', content: pathBuffer(text), mode: 0o644 },
      reason(named[0] ?? 'root'),
    );
    for (const name of named.slice(1)) files.addReason(at, reason(name));
  }
  for (const user of added) addHome(resolution, user, made, reason(user.name));
}

/** Adds a home directory as in the sysroot, without its content, or a new one. */
function addHome(
  { sysroot, files }: Resolution,
  { home, uid, gid }: User,
  made: MadeEntries,
  reason: Reason,
): void {
  if (!home.startsWith('/') || NO_HOME.has(home)) return;
  const trace = sysroot.trace(home);
  if (isTrace(trace)) {
    if (trace.stat.type === 'directory' && trace.path !== '/') files.add(trace, reason);
    return;
  }
  if (files.has(home)) return;
  const owned = RUN_TIME.test(home)
    ? { mode: 0o755, uid: 0, gid: 0 }
    : { mode: HOME_MODE, uid, gid };
  made.make(home, { type: 'directory', ...owned }, reason);
}
