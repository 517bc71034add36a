import { isTrace } from '../../fs/sysroot.js';
import { baseName } from '../../text/base-name.js';
import { mentionedProviders, PROVIDER_LIBRARY } from '../data/openssl.js';
import { NOISE } from '../usage/file-kinds.js';
import { isTlsClient } from '../usage/hints.js';
import { moduleDirectories, opensModules, worksThrough } from '../usage/library-modules.js';
import { PAM } from '../usage/pam.js';
import type { AdvisedProgram } from './advised-program.js';
import { ownCharset } from './charsets.js';
import type { AdviceContext } from './context.js';

const FONT_LIBRARY = 'libfontconfig.so.1';
const FONTS = '/etc/fonts/fonts.conf';
const CERTIFICATES = ['/etc/ssl/certs', '/etc/pki/tls/certs', '/etc/ssl/cert.pem'];
/** Sections of programs that are TLS clients only for some rare command, if at all. */
const SELDOM_CLIENTS: ReadonlySet<string> = new Set([
  ...['database', 'debug', 'devel', 'editors', 'electronics', 'embedded', 'libdevel'],
  'localization',
]);

/** Advises on CA certificates for a program that verifies TLS peers. */
export function adviseOnCertificates(program: AdvisedProgram, context: AdviceContext): void {
  const { jail, parts } = context;
  const { trace, owners, name } = program;
  if (CERTIFICATES.some((path) => jail.has(path))) return;
  // The configuration of a server names the certificates of the peers that it connects to.
  if (program.isSystemServer) return;
  if (owners.some(({ section }) => SELDOM_CLIENTS.has(section ?? ''))) return;
  // A library of another package also serves programs that are no clients.
  const own = program.objects.filter(
    (object) =>
      object === trace ||
      parts.ownersOfLibrary(object.path).some((owner) => owners.includes(owner)),
  );
  if (!own.some((object) => isTlsClient(jail.read(object).facts?.imports ?? []))) return;
  const text = `${name} verifies TLS peers, but the jail has no CA certificates`;
  program.add(2, 'certificates', text, ['--ca-certificates']);
}

/** Advises on modules of its own packages through which a program works, and of which the jail has none. */
export function adviseOnOwnModules(program: AdvisedProgram, context: AdviceContext): void {
  const { probe, packages, lacks } = context;
  const { elf, imports, owners, name } = program;
  if (elf === undefined || packages === undefined || !opensModules(imports)) return;
  for (const owner of [...owners, ...packages.families.companionsOf(owners)]) {
    const found = moduleDirectories(packages.database, owner)
      .filter((item) => worksThrough(item, imports) && !NOISE.test(item.path))
      .map(({ path }) => probe.trace(path))
      .find((directory) => isTrace(directory) && !lacks.holds(directory));
    if (found === undefined || !isTrace(found)) continue;
    program.add(3, 'data', `${name} opens modules in ${found.path}, from ${owner.name}`, [
      '--with-package',
    ]);
    return;
  }
}

/** Advises on modules through which a library of the program works, and of which the jail has none. */
export function adviseOnModules(program: AdvisedProgram, context: AdviceContext): void {
  const { probe, packages, parts, lacks } = context;
  if (program.elf === undefined || packages === undefined) return;
  for (const path of parts.nearLibrariesOf(program.elf)) {
    const library = probe.trace(path);
    if (!isTrace(library)) continue;
    const imports = parts.openerImportsOf(library);
    if (!opensModules(imports)) continue;
    for (const owner of parts.ownersOfLibrary(path)) {
      const directory = moduleDirectories(packages.database, owner).find(
        (item) => worksThrough(item, imports) && !NOISE.test(item.path),
      );
      if (directory === undefined) continue;
      const found = probe.trace(directory.path);
      if (!isTrace(found) || lacks.holds(found)) continue;
      const text = `${program.name} loads ${baseName(path)}, which opens modules in ${directory.path}, from ${owner.name}`;
      program.add(2, 'data', text, ['--with-package']);
      return;
    }
  }
}

/** Advises on the configuration and modules of PAM, without which nobody can authenticate. */
export function adviseOnAuthentication(program: AdvisedProgram, context: AdviceContext): void {
  const { probe, packages, lacks } = context;
  if (packages === undefined || !program.imports.includes('pam_start')) return;
  const directory = probe.trace(PAM);
  if (!isTrace(directory) || lacks.holds(directory)) return;
  const text = `${program.name} authenticates through PAM, but the jail has no ${PAM}`;
  program.add(3, 'data', text, ['--with-package']);
}

/** Advises on the configuration and fonts of a program that finds fonts through a library. */
export function adviseOnFonts(program: AdvisedProgram, context: AdviceContext): void {
  const { probe, packages, parts, lacks } = context;
  if (program.elf === undefined || packages === undefined || lacks.has(FONTS)) return;
  const library = parts.loadedBy(program.elf, FONT_LIBRARY);
  if (library === undefined || !isTrace(probe.trace(FONTS))) return;
  const text = `${program.name} finds fonts through ${baseName(library)}, but the jail has no ${FONTS}`;
  program.add(2, 'data', text, ['--with-package']);
}

/** Advises on configuration that a library of the program names, and that its installation made. */
export function adviseOnMadeConfiguration(program: AdvisedProgram, context: AdviceContext): void {
  const { probe, jail, parts } = context;
  if (program.elf === undefined) return;
  for (const path of parts.librariesOf(program.elf)) {
    const library = probe.trace(path);
    const read = isTrace(library) ? jail.read(library).elf : undefined;
    if (!isTrace(library) || read === undefined) continue;
    const made = parts
      .ownersOfLibrary(path)
      .flatMap((owner) => context.madeBy(owner))
      .filter((file) => !jail.has(file.path));
    if (made.length === 0) continue;
    const named = new Set(parts.namedBy(library, read).map(({ trace }) => trace.path));
    for (const file of made) {
      if (!named.has(file.path)) continue;
      const text = `${program.name} loads ${baseName(path)}, which names ${file.path}`;
      program.add(2, 'data', text, ['--include', file.path]);
    }
  }
}

/** Advises on the character set that a program converts by itself. */
export function adviseOnCharsets(program: AdvisedProgram, context: AdviceContext): void {
  const { jail, parts } = context;
  if (!program.imports.includes('iconv_open')) return;
  const libc = jail.library('libc.so.6');
  if (libc === undefined || jail.holds(libc.replace(/[^/]*$/, 'gconv'))) return;
  const charset = ownCharset(parts.mentionsOf(program.trace));
  if (charset === undefined) return;
  const text = `${program.name} converts ${charset}, for which the jail has no module`;
  program.add(1, 'data', text, ['--gconv', charset]);
}

/** Advises on providers of OpenSSL that a program loads by name. */
export function adviseOnProviders(program: AdvisedProgram, context: AdviceContext): void {
  const { probe, jail, parts } = context;
  if (program.elf === undefined || !program.imports.includes('OSSL_PROVIDER_load')) return;
  const libcrypto = parts.loadedBy(program.elf, PROVIDER_LIBRARY);
  if (libcrypto === undefined) return;
  const paths = mentionedProviders(probe, libcrypto, parts.mentionsOf(program.trace))
    .map(({ path }) => path)
    .filter((path) => !jail.has(path));
  if (paths.length > 0) {
    program.add(2, 'data', `${program.name} may load ${paths.join(', ')}`, paths);
  }
}
