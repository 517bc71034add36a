import { createHash } from 'node:crypto';
import { licenseReferences } from '../evidence/packages/license.js';
import { fullVersion, hasSource, sourceOf, sourceVersionOf } from '../evidence/packages/package.js';
import { rfc3339 } from '../export/times.js';
import { type Inventory, type InventoryFile, type InventoryPackage, ROOT } from './inventory.js';
import { contactOf, contentUuid, type SbomSubject } from './subject.js';

const DOCUMENT = 'SPDXRef-DOCUMENT';
const ROOT_ID = 'SPDXRef-Root';
const UNKNOWN = 'NOASSERTION';

/** Formats an inventory as SPDX 2.3 (ISO/IEC 5962). */
export function spdx(inventory: Inventory, subject: SbomSubject): object {
  const { packages, files, dependencies } = inventory;
  const ids = new Map<string, string>([[ROOT, ROOT_ID]]);
  for (const { purl, type, name } of packages) ids.set(purl, idOf(`Package-${type}-${name}`, purl));
  for (const { path } of files) ids.set(path, fileId(path));
  const id = (part: string) => ids.get(part) ?? UNKNOWN;
  const relationships = [
    relationship(DOCUMENT, 'DESCRIBES', ROOT_ID),
    ...files.map(({ path }) => relationship(ROOT_ID, 'CONTAINS', id(path))),
    ...packages.flatMap((owner) => [
      relationship(ROOT_ID, 'CONTAINS', id(owner.purl)),
      ...owner.files.map(({ path }) => relationship(id(owner.purl), 'CONTAINS', fileId(path))),
    ]),
    ...[...dependencies].flatMap(([part, needs]) =>
      needs.map((need) => relationship(id(part), 'DEPENDS_ON', id(need))),
    ),
  ];
  const document = {
    name: subject.name,
    creationInfo: {
      created: rfc3339(subject.created),
      creators: [`Tool: jailbuild-${subject.toolVersion}`],
    },
    packages: [
      {
        SPDXID: ROOT_ID,
        name: subject.name,
        versionInfo: subject.version,
        primaryPackagePurpose: 'CONTAINER',
        ...unknownOrigin(files),
        licenseDeclared: UNKNOWN,
      },
      ...packages.map((owner) => packageOf(owner, id(owner.purl))),
    ],
    files: [...files, ...packages.flatMap((owner) => owner.files)].map(fileOf),
    relationships,
    hasExtractedLicensingInfos: licensesOf(packages),
  };
  return {
    spdxVersion: 'SPDX-2.3',
    dataLicense: 'CC0-1.0',
    SPDXID: DOCUMENT,
    documentNamespace: `urn:uuid:${contentUuid(document)}`,
    ...document,
  };
}

function packageOf(owner: InventoryPackage, id: string): object {
  const { name, supplier, license, homepage, purl, files } = owner;
  return {
    SPDXID: id,
    name,
    versionInfo: fullVersion(owner),
    supplier: supplier === undefined ? UNKNOWN : supplierOf(supplier),
    homepage: homepage === undefined ? undefined : encodeURI(homepage),
    // The wording that scanners expect (Trivy, pkg/sbom/spdx).
    sourceInfo: hasSource(owner)
      ? `built package from: ${sourceOf(owner)} ${sourceVersionOf(owner)}`
      : undefined,
    ...unknownOrigin(files),
    licenseDeclared: license ?? UNKNOWN,
    externalRefs: [
      {
        referenceCategory: 'PACKAGE-MANAGER',
        referenceType: 'purl',
        referenceLocator: purl,
      },
    ],
  };
}

/** Returns the fields common to all packages. Files are analyzed if there are any (7.8 and 7.9). */
function unknownOrigin(files: readonly InventoryFile[]): object {
  const analyzed = files.length > 0;
  const code = createHash('sha1')
    .update(
      files
        .map(({ sha1 }) => sha1)
        .sort()
        .join(''),
    )
    .digest('hex');
  return {
    downloadLocation: UNKNOWN,
    filesAnalyzed: analyzed,
    packageVerificationCode: analyzed ? { packageVerificationCodeValue: code } : undefined,
    licenseConcluded: UNKNOWN,
    licenseInfoFromFiles: analyzed ? [UNKNOWN] : undefined,
    copyrightText: UNKNOWN,
  };
}

function supplierOf(supplier: string): string {
  const { name, email } = contactOf(supplier);
  return `Organization: ${name}${email === undefined ? '' : ` (${email})`}`;
}

function fileOf({ path, sha1, sha256 }: InventoryFile): object {
  return {
    SPDXID: fileId(path),
    fileName: `.${path}`,
    checksums: [
      { algorithm: 'SHA1', checksumValue: sha1 },
      { algorithm: 'SHA256', checksumValue: sha256 },
    ],
    licenseConcluded: UNKNOWN,
    licenseInfoInFiles: [UNKNOWN],
    copyrightText: UNKNOWN,
  };
}

/** Returns the licenses without an SPDX identifier, by the names used in packages (10.1). */
function licensesOf(packages: readonly InventoryPackage[]): object[] | undefined {
  const users = new Map<string, string>();
  for (const { name, license } of packages) {
    for (const reference of licenseReferences(license ?? '')) {
      if (!users.has(reference)) users.set(reference, name);
    }
  }
  if (users.size === 0) return undefined;
  return [...users].sort().map(([licenseId, user]) => ({
    licenseId,
    name: licenseId.slice('LicenseRef-'.length),
    extractedText: `The license that the package ${user} calls ${licenseId.slice('LicenseRef-'.length)}`,
  }));
}

function relationship(from: string, type: string, to: string): object {
  return { spdxElementId: from, relationshipType: type, relatedSpdxElement: to };
}

function fileId(path: string): string {
  return idOf('File', path);
}

/**
 * Returns an identifier: letters, digits, points and hyphens (3.2), and a digest to make it unique.
 */
function idOf(text: string, unique: string): string {
  const digest = createHash('sha256').update(unique).digest('hex').slice(0, 16);
  return `SPDXRef-${text.replace(/[^A-Za-z0-9.-]/g, '-')}-${digest}`;
}
