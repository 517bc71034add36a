import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Cleanup } from './cleanup.js';
import { exec } from './cli.js';
import { freePort, type RunningServer, startServer } from './server.js';

/** sshd needs root and must be started by its absolute path. */
const SSHD = '/usr/sbin/sshd';
/** Directory for sshd's privilege separation, created by the init system if sshd is a service. */
const PRIVSEP = '/run/sshd';

/** An sshd on the loopback interface, with its own configuration and keys. */
export interface SshServer {
  readonly port: number;
  /** Options for ssh, scp and sftp, without the port. */
  readonly options: readonly string[];
  /** Returns sshd's log so far. */
  readonly log: () => string;
}

/** A directory that sshd accepts as ChrootDirectory: only root may write to its parents. */
export function rootOwnedDirectory(cleanup: Cleanup): string {
  const directory = mkdtempSync('/srv/jailbuild-test-');
  exec('chmod', ['0755', directory]);
  cleanup.add(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/**
 * Starts sshd until the tests end. Every user logs in with the same key.
 *
 * @param users who may log in
 * @param config lines of sshd_config(5), `Match` blocks at the end
 */
export async function startSsh(
  cleanup: Cleanup,
  directory: string,
  users: readonly string[],
  config: string,
): Promise<SshServer> {
  const port = await freePort();
  const at = (name: string) => path.join(directory, name);
  for (const key of ['host_key', 'user_key']) {
    exec('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', at(key)]);
  }
  mkdirSync(at('keys'));
  for (const user of users) copyFileSync(at('user_key.pub'), at(`keys/${user}`));
  writeFileSync(
    at('sshd_config'),
    [
      `Port ${port}`,
      'ListenAddress 127.0.0.1',
      `HostKey ${at('host_key')}`,
      'PidFile none',
      'UsePAM no',
      'PasswordAuthentication no',
      `AuthorizedKeysFile ${at('keys')}/%u`,
      `AllowUsers ${users.join(' ')}`,
      'LogLevel VERBOSE',
      config,
    ].join('\n'),
  );
  const hadPrivsep = existsSync(PRIVSEP);
  if (!hadPrivsep) mkdirSync(PRIVSEP, { mode: 0o755 });
  const server: RunningServer = await startServer(
    SSHD,
    ['-D', '-e', '-f', at('sshd_config')],
    port,
  );
  cleanup.add(() => server.stop());
  writeFileSync(at('known_hosts'), '');
  return {
    port,
    log: server.output,
    options: [
      ...['-F', 'none', '-i', at('user_key'), '-o', 'BatchMode=yes', '-o', 'IdentitiesOnly=yes'],
      ...[
        '-o',
        `UserKnownHostsFile=${at('known_hosts')}`,
        '-o',
        'StrictHostKeyChecking=accept-new',
      ],
      ...['-o', 'LogLevel=ERROR'],
    ],
  };
}
