import { JailbuildError } from '../../errors.js';
import { isTrace, type Sysroot, type Trace } from '../../fs/sysroot.js';
import type { FileCollection } from '../file-collection.js';

const LOCALTIME = '/etc/localtime';
/**
 * Files without which programs that read zones themselves consider the directory damaged: PHP
 * crashes, as Debian builds it. Absent in some distributions.
 */
const COMPANIONS = ['UTC', 'zone.tab', 'iso3166.tab'];
/** The name of the host's own zone in requests. */
const HOST = 'host';

/**
 * Adds time zones: the files that the C library reads for TZ (tzset(3)). `host` is /etc/localtime
 * as it is, which the C library reads without TZ.
 *
 * @param directory where the C library looks for them
 * @returns warnings
 * @throws JailbuildError TIME_ZONE_NOT_FOUND
 */
export function addTimeZones(
  sysroot: Sysroot,
  files: FileCollection,
  choice: 'all' | readonly string[],
  directory: string,
): string[] {
  if (choice === 'all') {
    const tree = sysroot.trace(directory);
    if (!isTrace(tree) || tree.stat.type !== 'directory') throw notFound('all', directory);
    files.addTree(tree, (name) => ({ kind: 'time-zone', name }));
    return [];
  }
  const warnings: string[] = [];
  for (const name of choice) {
    const path = name === HOST ? LOCALTIME : `${directory}/${name}`;
    const found = isZoneName(name) ? sysroot.trace(path) : undefined;
    if (found !== undefined && isTrace(found) && isZoneFile(sysroot, found)) {
      files.add(found, { kind: 'time-zone', name });
    } else if (name === HOST) {
      warnings.push(`${LOCALTIME} is not a time zone file on this host: the jail's time is UTC`);
    } else {
      throw notFound(name, directory);
    }
  }
  for (const name of choice.length === 0 ? [] : COMPANIONS) {
    const found = sysroot.trace(`${directory}/${name}`);
    if (!isTrace(found) || found.stat.type !== 'file') continue;
    files.add(found, { kind: 'time-zone', name });
  }
  return warnings;
}

function isZoneName(name: string): boolean {
  return name !== '' && name.split('/').every((part) => !['', '.', '..'].includes(part));
}

/** Returns whether a file is a time zone: it begins with `TZif` (RFC 8536). */
function isZoneFile(sysroot: Sysroot, found: Trace): boolean {
  if (found.stat.type !== 'file') return false;
  const reader = sysroot.open(found);
  try {
    return reader.read(0, 4).toString('latin1') === 'TZif';
  } finally {
    reader.close();
  }
}

function notFound(name: string, directory: string): JailbuildError {
  return new JailbuildError(
    'TIME_ZONE_NOT_FOUND',
    `${name}: no such time zone in ${directory}: install the package tzdata, or name another zone`,
    name,
  );
}
