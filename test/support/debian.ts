import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';
import { exec } from './cli.js';

/** Directory that keeps downloads between runs. */
const CACHE = path.join(
  process.env.XDG_CACHE_HOME ?? path.join(homedir(), '.cache'),
  'jailbuild-test',
);
const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';
/** Maximum age of package lists, in milliseconds. */
const LIST_AGE = 7 * 24 * 3600 * 1000;

/**
 * Unpacks Debian packages of any architecture, with their dependencies, into a directory, without
 * running anything in it. apt uses separate state, so that the machine's does not change.
 *
 * @returns the reason if this is impossible here, or undefined on success
 */
export function unpackDebian(
  root: string,
  architecture: string,
  packages: readonly string[],
): string | undefined {
  const missing = ['apt-get', 'dpkg-deb'].find((tool) => !existsSync(`/usr/bin/${tool}`));
  if (missing !== undefined) return `needs ${missing}`;
  const home = path.join(CACHE, 'debian', architecture);
  for (const directory of ['lists/partial', 'archives/partial']) {
    mkdirSync(path.join(home, directory), { recursive: true });
  }
  chmodSync(CACHE, 0o700);
  const file = (name: string, text: string): string => {
    writeFileSync(path.join(home, name), text);
    return path.join(home, name);
  };
  const signed = existsSync(KEYRING) ? `[signed-by=${KEYRING}] ` : '';
  const release = readFileSync('/etc/os-release', 'utf8').match(/^VERSION_CODENAME=(\w+)$/m)?.[1];
  const sources = `deb ${signed}http://deb.debian.org/debian ${release ?? 'stable'} main\n`;
  const settings = {
    'APT::Architecture': architecture,
    'APT::Architectures::': architecture,
    'APT::Sandbox::User': 'root',
    'Acquire::Languages': 'none',
    'Acquire::Retries': '3',
    'Dir::State': home,
    'Dir::State::lists': path.join(home, 'lists'),
    // Nothing is installed, so that apt downloads every dependency.
    'Dir::State::status': file('status', ''),
    'Dir::Cache': home,
    'Dir::Cache::archives': path.join(home, 'archives'),
    'Dir::Etc::sourcelist': file('sources.list', sources),
    'Dir::Etc::sourceparts': '/dev/null',
  };
  const options = Object.entries(settings).flatMap(([name, value]) => ['-o', `${name}=${value}`]);
  const apt = (...args: string[]) => exec('apt-get', ['-qq', ...options, ...args]);

  const lists = readdirSync(path.join(home, 'lists')).filter((name) => name.endsWith('_InRelease'));
  const isFresh = lists.some(
    (name) => Date.now() - statSync(path.join(home, 'lists', name)).mtimeMs < LIST_AGE,
  );
  if (!isFresh) {
    const updated = apt('update');
    if (updated.status !== 0)
      return `cannot fetch Debian's lists for ${architecture}: ${updated.stderr}`;
  }
  const wanted = ['-y', '--no-install-recommends', 'install', ...packages];
  const fetched = apt('--download-only', ...wanted);
  if (fetched.status !== 0) return `cannot fetch packages for ${architecture}: ${fetched.stderr}`;
  // The directory may also contain other versions, and packages of other tests.
  const simulated = apt('-s', ...wanted).stdout;
  for (const [, name, version = ''] of simulated.matchAll(/^Inst (\S+) \((\S+) /gm)) {
    const archive = readdirSync(path.join(home, 'archives')).find((candidate) =>
      candidate.startsWith(`${name}_${version.replaceAll(':', '%3a')}_`),
    );
    if (archive === undefined) return `apt has not fetched ${name}`;
    const unpacked = exec('dpkg-deb', ['-x', path.join(home, 'archives', archive), root]);
    if (unpacked.status !== 0) return unpacked.stderr;
  }
  return undefined;
}
