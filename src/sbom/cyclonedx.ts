import { fullVersion, hasSource, sourceOf, sourceVersionOf } from '../evidence/packages/package.js';
import { rfc3339 } from '../export/times.js';
import { type Inventory, type InventoryFile, type InventoryPackage, ROOT } from './inventory.js';
import { contactOf, contentUuid, type SbomSubject } from './subject.js';

const ROOT_REF = 'root';

/** Formats an inventory as CycloneDX 1.6 (ECMA-424). */
export function cycloneDx(inventory: Inventory, subject: SbomSubject): object {
  const { distribution, packages, files, dependencies } = inventory;
  const system =
    distribution.id === undefined
      ? []
      : [
          {
            type: 'operating-system',
            'bom-ref': `os:${distribution.id}`,
            name: distribution.id,
            version: distribution.version,
          },
        ];
  const document = {
    metadata: {
      timestamp: rfc3339(subject.created),
      tools: {
        components: [{ type: 'application', name: 'jailbuild', version: subject.toolVersion }],
      },
      component: {
        type: 'container',
        'bom-ref': ROOT_REF,
        name: subject.name,
        version: subject.version,
      },
    },
    components: [...system, ...packages.map(packageComponent), ...files.map(fileComponent)],
    dependencies: [...dependencies].map(([part, needs]) => ({
      ref: refOf(part),
      dependsOn: needs.map(refOf),
    })),
  };
  return {
    $schema: 'http://cyclonedx.org/schema/bom-1.6.schema.json',
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    serialNumber: `urn:uuid:${contentUuid(document)}`,
    version: 1,
    ...document,
  };
}

function packageComponent(owner: InventoryPackage): object {
  const { name, purl, supplier, license, homepage, files } = owner;
  return {
    type: 'library',
    'bom-ref': purl,
    supplier: supplier === undefined ? undefined : supplierOf(supplier),
    name,
    version: fullVersion(owner),
    licenses: license === undefined ? undefined : [{ expression: license }],
    purl,
    externalReferences:
      homepage === undefined ? undefined : [{ type: 'website', url: encodeURI(homepage) }],
    properties: hasSource(owner) ? sourceProperties(owner) : undefined,
    components: files.map(fileComponent),
  };
}

/** Returns the source package under the property names that Trivy reads (pkg/sbom/core). */
function sourceProperties(owner: InventoryPackage): object[] {
  const [, epoch, version = '', release] =
    /^(?:(\d+):)?(.*?)(?:-([^-]*))?$/.exec(sourceVersionOf(owner)) ?? [];
  const values = {
    'aquasecurity:trivy:SrcEpoch': epoch,
    'aquasecurity:trivy:SrcName': sourceOf(owner),
    // The revision of an apk package is part of its version.
    'aquasecurity:trivy:SrcRelease': owner.type === 'apk' ? undefined : release,
    'aquasecurity:trivy:SrcVersion': owner.type === 'apk' ? sourceVersionOf(owner) : version,
    ...(owner.source === undefined ? {} : { 'jailbuild:source': owner.source }),
  };
  return Object.entries(values).flatMap(([name, value]) =>
    value === undefined ? [] : [{ name, value }],
  );
}

function supplierOf(supplier: string): object {
  const { name, email } = contactOf(supplier);
  return { name, contact: email === undefined ? undefined : [{ email }] };
}

function fileComponent({ path, sha1, sha256 }: InventoryFile): object {
  return {
    type: 'file',
    'bom-ref': refOf(path),
    name: path,
    hashes: [
      { alg: 'SHA-1', content: sha1 },
      { alg: 'SHA-256', content: sha256 },
    ],
  };
}

function refOf(part: string): string {
  if (part === ROOT) return ROOT_REF;
  return part.startsWith('/') ? `file:${part}` : part;
}
