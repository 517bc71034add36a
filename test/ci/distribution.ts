import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { sha256 } from '../export/support.js';
import { succeed } from '../support/cli.js';
import { buildJail } from '../support/jail.js';

const PROFILE = path.join(import.meta.dirname, 'distribution.yaml');
/** What every distribution contains, and no package of a web server adds. */
const OF_OTHERS = ['etc/passwd', 'etc/group', 'etc/hosts', 'etc/nsswitch.conf', 'tmp', 'root'];

/**
 * Makes the image of a small distribution, instead of one from a registry: with the host's apt,
 * dpkg and Node, and a repository with the host's nginx in a package.
 *
 * @returns the docker-archive, whose image is `localhost/distribution`
 */
export function makeDistribution(directory: string): string {
  const repository = path.join(directory, 'repository');
  makeRepository(repository, path.join(directory, 'package'));
  const archive = path.join(directory, 'distribution.tar');
  const root = path.join(directory, 'distribution');
  const others = /^(jailbuild: advice: .*\n)?$/;
  buildJail(
    root,
    [
      ...['--profile', PROFILE, '--include', `${repository}:/repository`],
      ...['--terminfo', 'none', '--no-record'],
    ],
    others,
  );
  succeed(process.execPath, [
    ...['dist/jailbuild.cjs', 'export', root, '--quiet'],
    ...['--to', `docker-archive:${archive}:distribution`],
  ]);
  return archive;
}

function makeRepository(repository: string, root: string): void {
  buildJail(root, [
    '--profile',
    'nginx',
    '--no-record',
    '--ld-cache',
    'none',
    '--terminfo',
    'none',
  ]);
  for (const name of OF_OTHERS) rmSync(path.join(root, name), { recursive: true, force: true });
  const control = path.join(root, 'DEBIAN/control');
  mkdirSync(path.dirname(control));
  const architecture = succeed('dpkg', ['--print-architecture']).trim();
  const fields = [
    'Package: nginx-light',
    'Version: 1.0-1',
    `Architecture: ${architecture}`,
    'Maintainer: Nobody <nobody@example.org>',
    'Description: web server',
  ];
  writeFileSync(control, `${fields.join('\n')}\n`);
  mkdirSync(repository);
  const file = path.join(repository, 'nginx-light.deb');
  succeed('dpkg-deb', ['-Zgzip', '-z1', '--build', root, file]);
  const index = [
    readFileSync(control, 'utf8').trim(),
    'Filename: ./nginx-light.deb',
    `Size: ${statSync(file).size}`,
    `SHA256: ${sha256(file)}`,
  ];
  writeFileSync(path.join(repository, 'Packages'), `${index.join('\n')}\n`);
}
