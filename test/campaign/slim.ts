import { createHash } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';
import { exec, jailbuild } from '../support/cli.js';

/** A Debian image with one package, and how it is reduced. */
export interface SlimTrial {
  readonly name: string;
  readonly package: string;
  readonly command: readonly string[];
  /** A command that runs in the full root, as a Containerfile would run it. */
  readonly prepare?: readonly string[];
  /** Options of export that add what the command opens at run time. */
  readonly options: readonly string[];
  /** Commands that work in the reduced root. */
  readonly proofs: readonly (readonly string[])[];
}

export const TRIALS: readonly SlimTrial[] = [
  {
    name: 'python3',
    package: 'python3',
    command: ['python3', '-c', 'print("ready")'],
    options: ['--profile', 'python'],
    proofs: [
      [
        'python3',
        '-c',
        'import json, ssl, sqlite3, zlib, hashlib, asyncio, ctypes, decimal, unicodedata, email; print(json.dumps([1]))',
      ],
    ],
  },
  {
    name: 'nginx',
    package: 'nginx-light',
    command: ['nginx', '-g', 'daemon off;'],
    options: ['--profile', 'nginx'],
    proofs: [['nginx', '-t']],
  },
  {
    name: 'ruby',
    package: 'ruby',
    command: ['ruby', '-e', 'puts :ready'],
    options: ['--package', 'ruby', '--package', 'libruby3.1'],
    proofs: [
      [
        'ruby',
        '-rjson',
        '-rset',
        '-ropenssl',
        '-rdigest',
        '-ryaml',
        '-e',
        'puts JSON.generate([1, YAML.load("a: 1")])',
      ],
    ],
  },
  {
    name: 'openjdk',
    package: 'openjdk-17-jre-headless',
    command: ['java', '-version'],
    options: ['--with-package', '--exclude', '/usr/lib/jvm/**/*.jsa'],
    proofs: [
      ['java', '-version'],
      ['java', '-XshowSettings:all', '-version'],
    ],
  },
  {
    // A JVM reads all of its modules from one file, so that only jlink(1) can leave some out.
    name: 'openjdk-jlink',
    package: 'openjdk-17-jdk-headless',
    prepare: [
      'jlink',
      '--add-modules=java.base,java.logging,java.naming,java.net.http,java.xml',
      '--strip-java-debug-attributes',
      '--no-header-files',
      '--no-man-pages',
      '--compress=2',
      '--output=/opt/java',
    ],
    command: ['/opt/java/bin/java', '-version'],
    options: ['--include', '/opt/java'],
    proofs: [
      ['/opt/java/bin/java', '-version'],
      ['/opt/java/bin/java', '-XshowSettings:all', '-version'],
    ],
  },
];

export interface SlimResult {
  readonly name: string;
  /** Bytes of files in the image, and in the reduced one. */
  readonly before: number;
  readonly after: number;
  readonly isProven: boolean;
  /** Whether exporting the same image twice gives the same digest. */
  readonly isSame: boolean;
  readonly largest: readonly { readonly name?: string; readonly size: number }[];
  /** The output of jailbuild, if it failed. */
  readonly error?: string;
}

/** Directory that keeps images between runs. */
function cacheDirectory(): string {
  const base = process.env.XDG_CACHE_HOME ?? path.join(homedir(), '.cache');
  const directory = path.join(base, 'jailbuild-test/slim');
  mkdirSync(directory, { recursive: true });
  return directory;
}

/** Creates the root of a trial with mmdebstrap, unless it is cached. @returns the tar archive */
function debianRoot({ name, package: wanted, prepare }: SlimTrial): string {
  const file = path.join(cacheDirectory(), `${name}.tar`);
  if (existsSync(file)) return file;
  const args = [
    ...['--variant=minbase', `--include=${wanted}`],
    ...(prepare === undefined ? [] : [`--customize-hook=chroot "$1" ${prepare.join(' ')}`]),
    ...['bookworm', `${file}.part.tar`],
  ];
  const { status, stderr } = exec('mmdebstrap', args, { timeout: 1_800_000 });
  if (status !== 0) throw new Error(`mmdebstrap: ${stderr}`);
  renameSync(`${file}.part.tar`, file);
  return file;
}

/** Writes an OCI image layout with one uncompressed layer. */
function layoutOf(layer: string, command: readonly string[], directory: string): void {
  const blobs = path.join(directory, 'blobs/sha256');
  mkdirSync(blobs, { recursive: true });
  const digestOf = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');
  const put = (text: string, mediaType: string) => {
    const hex = digestOf(Buffer.from(text));
    writeFileSync(path.join(blobs, hex), text);
    return { mediaType, digest: `sha256:${hex}`, size: Buffer.byteLength(text) };
  };
  const hex = digestOf(readFileSync(layer));
  copyFileSync(layer, path.join(blobs, hex));
  const type = 'application/vnd.oci.image';
  const config = {
    architecture: process.arch === 'arm64' ? 'arm64' : 'amd64',
    os: 'linux',
    config: {
      Cmd: command,
      Env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'],
    },
    rootfs: { type: 'layers', diff_ids: [`sha256:${hex}`] },
  };
  const manifest = {
    schemaVersion: 2,
    mediaType: `${type}.manifest.v1+json`,
    config: put(JSON.stringify(config), `${type}.config.v1+json`),
    layers: [
      { mediaType: `${type}.layer.v1.tar`, digest: `sha256:${hex}`, size: statSync(layer).size },
    ],
  };
  const described = put(JSON.stringify(manifest), `${type}.manifest.v1+json`);
  writeFileSync(
    path.join(directory, 'index.json'),
    JSON.stringify({ schemaVersion: 2, manifests: [described] }),
  );
  writeFileSync(path.join(directory, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
}

/**
 * Reduces one image, with its proofs.
 *
 * @param scratch an empty directory
 */
export function runTrial(trial: SlimTrial, scratch: string): SlimResult {
  const layout = path.join(scratch, 'full');
  layoutOf(debianRoot(trial), trial.command, layout);
  const env = { ...process.env, XDG_CACHE_HOME: path.join(scratch, 'cache') };
  const slim = (to: string, proofs: readonly string[]) =>
    jailbuild(
      [
        'export',
        '--from-image',
        `oci:${layout}`,
        '--to',
        `tar:${to}`,
        '--json',
        ...trial.options,
        ...proofs,
      ],
      { env, timeout: 600_000 },
    );
  const proofs = trial.proofs.flatMap((command) => ['--proof', JSON.stringify(command)]);
  const proven = slim(path.join(scratch, 'one.tar'), proofs);
  const failed = { before: 0, after: 0, isProven: false, isSame: false, largest: [] };
  if (proven.status !== 0) return { name: trial.name, ...failed, error: proven.stderr };
  const { leftOut, digest } = JSON.parse(proven.stdout);
  const again = JSON.parse(slim(path.join(scratch, 'two.tar'), []).stdout);
  return {
    name: trial.name,
    before: leftOut.size,
    after: leftOut.size - leftOut.leftOut,
    isProven: true,
    isSame: again.digest === digest,
    largest: leftOut.packages.slice(0, 5),
  };
}
