import { isTrace } from '../../fs/sysroot.js';
import { baseName } from '../../text/base-name.js';
import type { FoundProgram } from '../find-program.js';
import { PAM, PAM_LIBRARY, pamFiles } from '../usage/pam.js';
import type { AddedFiles, PackageSources } from './added-files.js';
import type { OwnData } from './own-data.js';

/** Configuration of PAM's modules. */
const OF_MODULES = /^\/etc\/(security\/[^/]+|environment|login\.defs)$/;

/** Adds what a program that authenticates through PAM needs, without passwords. */
export function addAuthentication(
  { trace }: FoundProgram,
  { sysroot, closure, database, families }: PackageSources,
  added: AddedFiles,
  data: OwnData,
): void {
  const { elf, facts } = closure.read(trace.stat.identity);
  if (elf === undefined || facts?.imports.includes('pam_start') !== true) return;
  const library = closure.withReason('needed').find((path) => PAM_LIBRARY.test(path));
  if (library === undefined) return;
  const name = baseName(trace.path);
  const mentions = closure.namesIn(sysroot, trace, elf);
  const services = families
    .ownersOf(trace)
    .flatMap((owner) => database.filesOf(owner) ?? [])
    .filter((file) => file.startsWith(`${PAM}/`))
    .map((file) => baseName(file))
    .filter((service) => service === name || mentions(service));
  const { configuration, modules } = pamFiles(sysroot, new Set([name, ...services]), library);
  const [owner] = database.ownersOf([library]).get(library) ?? [];
  if (owner === undefined) return;
  const reason = { kind: 'named', by: library, package: owner.name } as const;
  for (const file of [...configuration, ...modules]) added.add(file, reason);
  for (const module of modules) {
    const read = closure.read(module.stat.identity).elf;
    if (read === undefined) continue;
    for (const { name: path } of data.namedBy(module, read)) {
      const found = OF_MODULES.test(path) ? sysroot.trace(path) : undefined;
      if (found !== undefined && isTrace(found)) added.add(found, reason);
    }
  }
}
