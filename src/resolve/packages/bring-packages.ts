import { JailbuildError } from '../../errors.js';
import type { PackageDatabase } from '../../evidence/packages/package.js';
import type { Trace } from '../../fs/sysroot.js';
import type { ResolveRequest } from '../../manifest/request.js';
import type { Resolution } from '../additions.js';
import type { FoundProgram } from '../find-program.js';
import type { KeptFiles } from '../process/kept-files.js';
import type { BringPackages, Brought } from './brought.js';
import { type ClosureSoFar, closureOf } from './closure-so-far.js';
import { type Expanded, Expansion } from './expansion.js';
import { type BroughtData, PackageMemory } from './kept-packages.js';
import { RecordedClosure } from './recording.js';

/**
 * Returns a function that adds the packages that a request names and those that own its programs.
 *
 * @param database undefined if the sysroot has none
 * @param kept what earlier runs have found, to which this one adds
 */
export function packagesOf(
  request: ResolveRequest,
  database: PackageDatabase | undefined,
  kept?: KeptFiles,
): BringPackages {
  return (resolution, requested) => {
    if (database !== undefined) return bring({ resolution, request, database, kept }, requested);
    const [name] = request.packages ?? [];
    if (name !== undefined) {
      throw new JailbuildError(
        'PACKAGE_NOT_FOUND',
        `package ${name}: the sysroot has no package database`,
      );
    }
    const warnings = ['--with-package: the sysroot has no package database'];
    return { warnings, gconv: [], locales: [], users: [] };
  };
}

interface Sources {
  readonly resolution: Resolution;
  readonly request: ResolveRequest;
  readonly database: PackageDatabase;
  readonly kept: KeptFiles | undefined;
}

/** Adds what an earlier run found, if nothing has changed that it depends on; otherwise finds it. */
function bring(sources: Sources, requested: readonly FoundProgram[]): Brought {
  const { resolution, request, database } = sources;
  const closure = closureOf(resolution);
  const memory = memoryOf(sources, requested, closure);
  const known = memory?.recall(requested, closure);
  if (known !== undefined && known !== 'partly') return recalled(known, database);
  // Of a part that was added already, nothing could be recorded.
  if (memory === undefined || known === 'partly') {
    const expansion = new Expansion(resolution.sources, closure, request, database);
    const found = expansion.run(requested);
    const complete = () => (request.withPackage ? expansion.addWrapped(requested) : undefined);
    return { ...withBasics(found, database), complete };
  }
  const { stamps } = database;
  const part = resolution.sources.part();
  for (const path of stamps ?? []) part.typeOf(path);
  const recorded = new RecordedClosure(closure);
  const found = new Expansion(part, recorded, request, database).run(requested);
  memory.keep(requested, recorded, part, stamps, dataOf(found));
  return withBasics(found, database);
}

/**
 * Returns what earlier runs found; undefined for content that is placed over the sources, which is not on the host, and
 * for shell scripts, of which the commands are added later.
 */
function memoryOf(
  { resolution, request, database, kept }: Sources,
  requested: readonly FoundProgram[],
  closure: ClosureSoFar,
): PackageMemory | undefined {
  const { sysroot, sources } = resolution;
  if (kept === undefined || sysroot !== sources || database.stamps === undefined) return undefined;
  if (requested.some(({ trace }) => closure.isShellScript(trace.path))) return undefined;
  return new PackageMemory(kept, request, sources);
}

function withBasics({ packages, ...found }: Expanded, database: PackageDatabase): Brought {
  return { ...found, isBasic: isAmong(database, () => packages) };
}

function recalled(
  { warnings, gconv, locales, users, added }: BroughtData,
  database: PackageDatabase,
) {
  let packages: ReadonlySet<unknown> | undefined;
  const isBasic = isAmong(database, () => {
    packages ??= new Set(added.map((name) => database.find(name)));
    return packages;
  });
  return { warnings, gconv, locales, users, isBasic };
}

function dataOf({ packages, ...found }: Expanded): BroughtData {
  return {
    ...found,
    added: [...packages].map(({ name, architecture }) => `${name}:${architecture}`),
  };
}

function isAmong(
  database: PackageDatabase,
  packages: () => ReadonlySet<unknown>,
): (program: Trace) => boolean {
  return ({ path }) => {
    const owners = database.ownersOf([path]).get(path) ?? [];
    return owners.some((owner) => owner.isEssential || packages().has(owner));
  };
}
