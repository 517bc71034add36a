import type { FileCollection } from '../file-collection.js';

const HOSTS = '/etc/hosts';
/** As container runtimes give to every container. The host's own file would tell its names and those of its network. */
const LOCAL_NAMES = `127.0.0.1 localhost
::1 localhost ip6-localhost ip6-loopback
`;

/**
 * Adds hosts(5) with the jail's own names, unless the request adds the file: neither glibc nor musl knows the address of
 * `localhost` without it.
 */
export function addLocalHosts(files: FileCollection): void {
  if (files.has(HOSTS)) return;
  const content = Buffer.from(LOCAL_NAMES);
  files.addMade(
    HOSTS,
    { type: 'file', mode: 0o644, uid: 0, gid: 0, mtimeNs: 0n, content },
    { kind: 'local-hosts' },
  );
}
