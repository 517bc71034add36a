import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Cleanup } from './cleanup.js';
import { exec } from './cli.js';
import { freePort, type RunningServer, startServer } from './server.js';

/** sshd runs as root and wants to be started by its absolute path. */
const SSHD = '/usr/sbin/sshd';
/** Where sshd keeps its unprivileged half; the init system makes it where sshd is a service. */
const PRIVSEP = '/run/sshd';

/** An sshd on the loopback interface, with a configuration and keys of its own. */
export interface SshServer {
  readonly port: number;
  /** Options for ssh, scp and sftp, without the port. */
  readonly options: readonly string[];
  /** What sshd has said so far. */
  readonly log: () => string;
}

/** A directory whose parents sshd takes for a ChrootDirectory: no one but root may write to them. */
export function rootOwnedDirectory(cleanup: Cleanup): string {
  const directory = mkdtempSync('/srv/jailbuild-test-');
  exec('chmod', ['0755', directory]);
  cleanup.add(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/**
 * Starts sshd, until the tests are done. Every user logs in with the same key.
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
