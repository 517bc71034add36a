import type { Sysroot } from '../../fs/sysroot.js';
import type { ResolveRequest } from '../../manifest/request.js';
import type { FileCollection } from '../file-collection.js';
import type { ProgramResolver } from '../program-resolver.js';
import { addCaCertificates } from './ca-certificates.js';
import { addGconv } from './gconv.js';
import { glibcFacts, USUAL_FACTS } from './glibc-facts.js';
import { addLocales } from './locales.js';
import { addOpenSslConfiguration } from './openssl.js';
import { addTimeZones } from './time-zones.js';

/**
 * Adds the data that a request names and that programs open at run time, from where their C
 * libraries and OpenSSL libraries were built to look for it.
 *
 * @returns warnings
 * @throws JailbuildError CHARSET_NOT_FOUND, LOCALE_NOT_FOUND, CA_CERTIFICATES_NOT_FOUND,
 *   TIME_ZONE_NOT_FOUND
 */
export function addRunTimeData(
  sysroot: Sysroot,
  files: FileCollection,
  programs: ProgramResolver,
  request: ResolveRequest,
): string[] {
  const { gconv = [], locales = [], timeZones = [], caCertificates = false } = request;
  const warnings = new Set<string>();
  if (gconv.length + locales.length + timeZones.length > 0) {
    const glibcs = programs.known.glibcs.map((used) => ({
      ...used,
      facts: glibcFacts(sysroot, used.library),
    }));
    if (gconv.length > 0) {
      const able = glibcs.filter(({ facts }) => facts.gconv !== undefined);
      if (able.length === 0) warnings.add('--gconv: no program has a glibc that uses modules');
      for (const { process, library, facts } of able) {
        addGconv(sysroot, files, facts.gconv ?? '', gconv, (path, name) =>
          process.opens(path, library, () => ({ kind: 'gconv', name })),
        );
      }
    }
    // Static programs look where the C library of the distribution does.
    const places = glibcs.length > 0 ? glibcs.map(({ facts }) => facts) : [USUAL_FACTS];
    for (const facts of places) {
      addLocales(sysroot, files, locales, facts);
      if (timeZones.length === 0) continue;
      for (const line of addTimeZones(sysroot, files, timeZones, facts.zoneinfo))
        warnings.add(line);
    }
  }
  if (caCertificates) {
    const libcryptos = programs.known.libcryptos.map((used) => ({
      ...used,
      path: used.library.trace.path,
    }));
    addCaCertificates(
      sysroot,
      files,
      libcryptos.map(({ path }) => path),
    );
    for (const { process, library, path } of libcryptos) {
      const lines = addOpenSslConfiguration(sysroot, files, path, (module) =>
        process.opens(module, library, () => ({ kind: 'openssl' })),
      );
      for (const line of lines) warnings.add(line);
    }
  }
  return [...warnings];
}
