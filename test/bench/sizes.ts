import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import path from 'node:path';
import { JAILBUILD } from '../support/cli.js';
import { unpackDebian } from '../support/debian.js';

/** A profile, and the Debian package that contains its programs. */
const IMAGES = { nginx: 'nginx-light', git: 'git', python: 'python3' } as const;

/** The contents of every Debian image: `debootstrap --variant=minbase` with a merged /usr. */
const MINIMAL = ['?essential', '?priority(required)', 'apt', 'usr-is-merged', 'usrmerge-'];

/** Files that Debian's slim images exclude (debuerreotype, .slimify-excludes). */
const NOT_IN_SLIM = ['doc', 'info', 'lintian', 'locale', 'man'].map((name) => `usr/share/${name}`);

interface Size {
  readonly tar: number;
  readonly compressed: number;
}

/**
 * Compares sizes of images by profiles with slim Debian images of the same packages, as one layer
 * each: unpacked from the same packages, with gzip at its default level. Prints bytes.
 */
export async function benchSizes(): Promise<void> {
  console.log('\nsizes of images, in bytes');
  for (const [profile, name] of Object.entries(IMAGES)) {
    const scratch = mkdtempSync('/srv/jailbuild-bench-');
    try {
      const root = path.join(scratch, 'slim');
      const architecture = output('dpkg', '--print-architecture').trim();
      const failure = unpackDebian(root, architecture, [...MINIMAL, name]);
      if (failure !== undefined) throw new Error(failure);
      // base-passwd does this when it is installed.
      for (const file of ['passwd', 'group']) {
        copyFileSync(`${root}/usr/share/base-passwd/${file}.master`, `${root}/etc/${file}`);
      }
      const jail = jailSize(profile, root, scratch);
      for (const directory of NOT_IN_SLIM) rmSync(path.join(root, directory), { recursive: true });
      const slim = treeSize(root);
      const line = ({ compressed, tar }: Size) => `${compressed} compressed, ${tar} as tar`;
      console.log(`  ${profile}: ${line(jail)}; slim with ${name}: ${line(slim)}`);
    } finally {
      rmSync(scratch, { recursive: true, force: true });
    }
  }
}

function jailSize(profile: string, sysroot: string, scratch: string): Size {
  const report = output(
    ...[process.execPath, JAILBUILD, 'export', '--profile', profile, '--sysroot', sysroot],
    ...['--to', `oci:${scratch}/image`, '--json'],
  );
  const [layer] = JSON.parse(report).image.layers;
  return { compressed: layer.size, tar: layer.uncompressedSize };
}

function treeSize(root: string): Size {
  const tar = `tar --create --format=pax --sort=name --numeric-owner --directory='${root}' .`;
  const count = (command: string) => Number(output('sh', '-c', `${command} | wc -c`));
  return { tar: count(tar), compressed: count(`${tar} | gzip`) };
}

function output(...[file = '', ...args]: readonly string[]): string {
  const { status, stdout, stderr, error } = spawnSync(file, args, { encoding: 'utf8' });
  if (status !== 0) throw error ?? new Error(stderr);
  return stdout;
}
