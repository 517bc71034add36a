import type { PackageFamilies } from '../../evidence/packages/families.js';
import type { InstalledPackage, PackageDatabase } from '../../evidence/packages/package.js';
import type { Sysroot, Trace } from '../../fs/sysroot.js';
import { ServiceHost } from '../usage/configured-users.js';
import { madeConfiguration } from '../usage/made-configuration.js';
import { AbsentFiles } from './absent-files.js';
import type { AskedJail } from './jail-contents.js';
import { type FileContents, ProgramParts } from './program-parts.js';

/** The packages of the host, and the relations between them. */
export interface HostPackages {
  readonly database: PackageDatabase;
  readonly families: PackageFamilies;
}

/** What the advice on programs is based on. */
export interface Sources {
  readonly probe: Sysroot;
  /** Without them, advice is based on files alone. */
  readonly packages: HostPackages | undefined;
  readonly jail: AskedJail;
  readonly contents: FileContents;
}

/** What the rules of advice look at: the host, its packages, the jail, and the parts of programs. */
export class AdviceContext {
  readonly probe: Sysroot;
  readonly packages: HostPackages | undefined;
  readonly jail: AskedJail;
  readonly contents: FileContents;
  /** The host as far as users of services are concerned. */
  readonly services: ServiceHost;
  readonly parts: ProgramParts;
  readonly lacks: AbsentFiles;
  readonly #made = new Map<InstalledPackage, readonly Trace[]>();

  constructor({ probe, packages, jail, contents }: Sources) {
    this.probe = probe;
    this.packages = packages;
    this.jail = jail;
    this.contents = contents;
    this.services = new ServiceHost(probe, packages?.database);
    this.parts = new ProgramParts(probe, packages?.database, jail, contents);
    this.lacks = new AbsentFiles(probe, jail);
  }

  /** Returns the packages of a program, and of the links through which it was found. */
  ownersOf(program: Trace): readonly InstalledPackage[] {
    return this.packages?.families.ownersOf(program) ?? [];
  }

  /** Returns the paths that a package installed; none if they are unknown. */
  filesOf(owner: InstalledPackage): readonly string[] {
    return this.packages?.database.filesOf(owner) ?? [];
  }

  /** Returns the configuration that the installation of a package made. */
  madeBy(owner: InstalledPackage): readonly Trace[] {
    let made = this.#made.get(owner);
    if (made === undefined) {
      const { packages, probe } = this;
      made = packages === undefined ? [] : madeConfiguration(probe, owner, packages.database);
      this.#made.set(owner, made);
    }
    return made;
  }
}
