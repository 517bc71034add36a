import assert from 'node:assert/strict';
import { mkdirSync, utimesSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { PackageURL } from 'packageurl-js';
import { jailbuild, succeed } from '../support/cli.js';
import { needs, needsRoot } from '../support/need.js';
import { tempDir } from '../support/temp-dir.js';

interface Component {
  readonly name: string;
  readonly version?: string;
  readonly purl?: string;
  readonly properties?: readonly { readonly name: string; readonly value: string }[];
}

const directory = tempDir();
const at = (name: string) => path.join(directory, name);

/** Returns the source of a package according to dpkg. */
function sourceOf(name: string): { readonly source: string; readonly version: string } {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: dpkg-query fills it in
  const format = '${source:Package} ${source:Version}';
  const [source = '', version = ''] = succeed('dpkg-query', ['-W', `-f=${format}`, name]).split(
    ' ',
  );
  return { source, version };
}

describe('scanners read from a bill of materials', needsRoot('dpkg-query'), () => {
  const make = (format: string) => {
    const file = at(`${format}.json`);
    const image = at(`image-${format}`);
    const args = ['export', 'ls', 'bash', '--to', `oci:${image}:v1`, '--sbom', format];
    const { status, stderr } = jailbuild([...args, '--sbom-file', file]);
    assert.equal(status, 0, stderr);
    return JSON.parse(succeed('cat', [file]));
  };

  test('the source package in package URLs and for Trivy, and the name of the image', () => {
    const { components, metadata } = make('cyclonedx') as {
      components: Component[];
      metadata: { component: Component };
    };
    assert.equal(metadata.component.name, 'image-cyclonedx');
    const packages = components.filter(({ purl }) => purl?.startsWith('pkg:deb/'));
    assert.ok(packages.length >= 4);
    for (const { name, purl = '', properties = [] } of packages) {
      const { source, version } = sourceOf(name);
      assert.equal(PackageURL.fromString(purl).qualifiers?.upstream, `${source}@${version}`);
      const property = (key: string) =>
        properties.find((one) => one.name === `aquasecurity:trivy:${key}`)?.value;
      assert.equal(property('SrcName'), source);
      const epoch = property('SrcEpoch');
      const release = property('SrcRelease');
      const whole = `${epoch === undefined ? '' : `${epoch}:`}${property('SrcVersion')}${release === undefined ? '' : `-${release}`}`;
      assert.equal(whole, version, name);
    }
  });

  test('the terms of SPDX documents', () => {
    const { packages } = make('spdx') as { packages: { name: string; sourceInfo?: string }[] };
    const libc = packages.find(({ name }) => name === 'libc6');
    const { source, version } = sourceOf('libc6');
    assert.equal(libc?.sourceInfo, `built package from: ${source} ${version}`);
  });
});

test('a platform that the programs do not match is refused', needs('true'), () => {
  const other = process.arch === 'x64' ? 'linux/arm64' : 'linux/amd64';
  const image = at('other');
  const { status, stderr } = jailbuild([
    'export',
    'true',
    '--to',
    `oci:${image}`,
    '--platform',
    other,
  ]);
  assert.equal(status, 1);
  assert.match(stderr, /--platform \S+: \S+ is for linux\//);
  const own = process.arch === 'x64' ? 'linux/amd64' : 'linux/arm64';
  assert.equal(jailbuild(['export', 'true', '--to', `oci:${image}`, '--platform', own]).status, 0);
});

test('times from 2242 on are kept in every archive', needs('tar'), () => {
  const late = at('late');
  mkdirSync(late);
  writeFileSync(`${late}/file`, 'x');
  const time = new Date('2300-01-01T00:00:00Z');
  utimesSync(`${late}/file`, time, time);
  for (const kind of ['tar', 'docker-archive', 'oci-archive']) {
    const archive = at(`${kind}.tar`);
    const args = ['export', 'true', '--include', `${late}/file`, '--to', `${kind}:${archive}`];
    const { status, stderr } = jailbuild(args);
    assert.equal(status, 0, stderr);
    if (kind === 'oci-archive') continue;
    const layers = kind === 'tar' ? [archive] : layersOf(archive);
    const listed = layers.map((layer) => succeed('tar', ['--utc', '-tvf', layer])).join('');
    assert.match(listed, /2300-01-01 00:00 \S*late\/file/);
  }
});

function layersOf(archive: string): string[] {
  const unpacked = at('unpacked');
  mkdirSync(unpacked);
  succeed('tar', ['-xf', archive, '-C', unpacked]);
  const manifest = JSON.parse(succeed('cat', [`${unpacked}/manifest.json`])) as {
    Layers: string[];
  }[];
  return manifest.flatMap(({ Layers }) => Layers.map((layer) => path.join(unpacked, layer)));
}
