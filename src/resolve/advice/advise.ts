import type { ElfFile } from '../../elf/types.js';
import type { PackageFamilies } from '../../evidence/packages/families.js';
import {
  type InstalledPackage,
  type PackageDatabase,
  sourceOf,
} from '../../evidence/packages/package.js';
import { isRunTimeFile } from '../../evidence/packages/run-time-files.js';
import { isTrace, type Sysroot, type Trace } from '../../fs/sysroot.js';
import type { Advice } from '../../manifest/advice.js';
import { baseName } from '../../text/base-name.js';
import { mentionedProviders, PROVIDER_LIBRARY } from '../data/openssl.js';
import type { FoundProgram } from '../find-program.js';
import { moduleDirectories, opensModules, worksThrough } from '../packages/library-modules.js';
import { madeConfiguration } from '../packages/made-configuration.js';
import {
  essentialCommands,
  hasFewPrograms,
  type NamedPath,
  originalOf,
  scriptPathEnds,
  scriptPaths,
} from '../packages/named-paths.js';
import { PAM } from '../packages/pam.js';
import type { ScriptGap } from '../scripts/script-commands.js';
import { AbsentFiles } from './absent-files.js';
import { AbsentParts } from './absent-parts.js';
import { ownCharset } from './charsets.js';
import { ServiceHost, usersOf } from './configured-users.js';
import { CONFIGURATION, isConfiguration, isData, NOISE, PROGRAM } from './file-kinds.js';
import { isServer, isTlsClient, languageOf } from './hints.js';
import type { AskedJail } from './jail-contents.js';
import { type FileContents, ProgramParts } from './program-parts.js';
import type { OwnProgram, Weighed } from './script-advice.js';
import {
  isShell,
  runsCommandLines,
  SYSTEM_SHELL,
  startedShell,
  startsByName,
  startsOwnChoice,
  startsPrograms,
} from './shell.js';

/** Programs for administrators, among them servers; clients may listen too (hier(7)). */
const SYSTEM_PROGRAM = /\/sbin\/[^/]+$/;
/** The maximum number of files of a directory that are looked at for what it is for. */
const MAX_BELOW = 200;
/** The maximum size in bytes of configuration that may consist of comments only. */
const MAX_SETTINGS = 64 << 10;
/**
 * Sections of programs that carry out commands of their user, some of which run a shell (Debian
 * policy, 2.4): `!` in ed and dc.
 */
const INTERPRETING: ReadonlySet<string> = new Set(['interpreters', 'editors', 'math']);

/** Sections of programs that are TLS clients only for some rare command, if at all. */
const SELDOM_CLIENTS: ReadonlySet<string> = new Set([
  ...[
    'database',
    'debug',
    'devel',
    'editors',
    'electronics',
    'embedded',
    'libdevel',
    'localization',
  ],
]);

/** A path that a program names, itself or through a library. */
interface Named extends NamedPath {
  /** The file that contains the name. */
  readonly by: Trace;
}

/** Matches a library that is not where the loader looks for libraries. */
const MODULE = /^\/usr\/lib\/([^/]+-linux-[^/]+\/)?(?![^/]+-linux-[^/]+\/)[^/]+\/.*\.so$/;
/** Matches a file in a directory of its package. */
const OWN_DIRECTORY = /^(\/usr\/(?:share|lib|libexec)\/(?:[^/]+-linux-[^/]+\/)?([^/]+))\/./;
/** Matches a version at the end of a name. */
const VERSION = /[-.]?\d[\d.]*$/;
const FONT_LIBRARY = 'libfontconfig.so.1';
const FONTS = '/etc/fonts/fonts.conf';
const CERTIFICATES = ['/etc/ssl/certs', '/etc/pki/tls/certs', '/etc/ssl/cert.pem'];

/** What the advice on programs is based on. */
export interface Sources {
  readonly probe: Sysroot;
  /** Without one, advice is based on files alone. */
  readonly database: PackageDatabase | undefined;
  readonly families: PackageFamilies | undefined;
  readonly jail: AskedJail;
  readonly contents: FileContents;
}

/** Finds what programs may lack in a jail. */
export class Adviser {
  readonly #probe: Sysroot;
  readonly #database: PackageDatabase | undefined;
  readonly #families: PackageFamilies | undefined;
  readonly #jail: AskedJail;
  readonly #contents: FileContents;
  readonly #host: ServiceHost;
  readonly #parts: ProgramParts;
  readonly #lacks: AbsentFiles;
  readonly #absentParts: AbsentParts | undefined;
  /** Configuration that installations made, by package. */
  readonly #made = new Map<InstalledPackage, readonly Trace[]>();

  constructor({ probe, database, families, jail, contents }: Sources) {
    this.#probe = probe;
    this.#database = database;
    this.#families = families;
    this.#jail = jail;
    this.#contents = contents;
    this.#host = new ServiceHost(probe, database);
    this.#parts = new ProgramParts(probe, database, jail, contents);
    this.#lacks = new AbsentFiles(probe, jail);
    if (database === undefined || families === undefined) return;
    this.#absentParts = new AbsentParts({
      database,
      families,
      jail,
      parts: this.#parts,
      lacks: this.#lacks,
    });
  }

  #adviceFor(program: FoundProgram): Weighed[] {
    const { elf, facts } = this.#jail.read(program.trace);
    const name = baseName(program.as);
    const owners = this.#families?.ownersOf(program.trace) ?? [];
    if (elf !== undefined && (elf.dynamic?.needed ?? []).length === 0) {
      // Static programs are made to need nothing but what their packages have for them.
      const needed = this.#sayOwnDirectory(program, owners);
      return needed === undefined ? [] : [needed];
    }
    const imports = facts?.imports ?? [];
    const found: Weighed[] = [];
    const say = (weight: number, id: Advice['id'], text: string, add: readonly string[]): void => {
      found.push({ weight, advice: { id, program: program.as, text, add } });
    };
    const named = this.#parts.objectsOf(program.trace, owners).flatMap((object) => {
      const read = this.#jail.read(object).elf;
      if (read !== undefined) {
        return this.#parts.namedBy(object, read).map((path) => ({ ...path, by: object }));
      }
      const paths = this.#jail.isFollowed(object.path)
        ? [
            ...scriptPaths(this.#probe, object, this.#contents.root),
            ...this.#endsNamedBy(object, owners),
          ]
        : this.#ownPathsIn(object, owners);
      return paths.map((path) => ({ ...path, by: object }));
    });
    this.#sayData(program, owners, named, say);
    if (elf === undefined && found.length === 0 && !this.#jail.isFollowed(program.trace.path)) {
      const needed = this.#sayOwnDirectory(program, owners);
      if (needed !== undefined) found.push(needed);
    }
    if (this.#lacksCertificates(program.trace, owners)) {
      say(2, 'certificates', `${name} verifies TLS peers, but the jail has no CA certificates`, [
        '--ca-certificates',
      ]);
    }
    const isService = isSystemServer(program.trace, imports);
    const secret = isService ? this.#secretOf(named, owners) : undefined;
    if (secret !== undefined) {
      say(3, 'data', `${name} names ${secret}, which is not world-readable`, ['--include', secret]);
    }
    const shell =
      this.#shellOf(program.trace, imports, named, owners) ??
      this.#shellOfLibraries(program.trace, owners);
    if (!found.some(addsPackage)) this.#sayModules(elf, name, say);
    if (!found.some(addsPackage)) {
      this.#sayFonts(elf, name, say);
      this.#sayAuthentication(imports, name, say);
    }
    // --with-package adds the shell too.
    const isBrought = found.some(addsPackage);
    if (shell !== undefined && !isBrought && !this.#lacks.has(shell)) {
      say(1, 'shell', `${name} may run commands through ${shell}, which the jail lacks`, [shell]);
    }
    if (!isBrought) {
      this.#sayPrograms(program.trace, owners, named, name, say);
      this.#sayCommands(program.trace, imports, name, say);
      this.#sayOriginal(owners, imports, name, say);
      this.#sayConfigured(elf, name, say);
      this.#sayCharsets(program.trace, imports, name, say);
      this.#sayProviders(program.trace, elf, imports, name, say);
    }
    // --with-package adds the user too.
    if (isBrought) return found;
    for (const user of usersOf(this.#host, this.#jail, program, owners)) {
      if (this.#jail.hasUser(user.name)) continue;
      say(3, 'user', `${user.by} names the user ${user.name}, which the jail lacks`, [
        '--user',
        user.name,
      ]);
    }
    return found;
  }

  /**
   * Returns the paths of a script's own packages that it names, in a language of which the comments
   * are unknown.
   */
  #ownPathsIn(script: Trace, owners: readonly InstalledPackage[]): NamedPath[] {
    const named = scriptPaths(this.#probe, script, this.#contents.root);
    const byPath = this.#database?.ownersOf(named.map(({ trace }) => trace.path));
    return named.filter(({ trace }) =>
      byPath?.get(trace.path)?.some((owner) => owners.includes(owner)),
    );
  }

  /** Returns the files of a shell script's own packages that it names behind a computed beginning. */
  #endsNamedBy(script: Trace, owners: readonly InstalledPackage[]): NamedPath[] {
    const ends = scriptPathEnds(script, this.#contents.root);
    if (ends.length === 0 || this.#database === undefined) return [];
    const listed = owners
      .flatMap((owner) => this.#database?.filesOf(owner) ?? [])
      .filter((file) => ends.some((end) => file.endsWith(end)));
    const byPath = this.#database.ownersOf(listed);
    return listed.flatMap((name) => {
      const trace = this.#probe.trace(name);
      // Directories of several packages are those of a language or service.
      const isShared = (byPath.get(name)?.length ?? 0) > 1;
      return isTrace(trace) && !isShared ? [{ name, trace }] : [];
    });
  }

  /** Returns the advice on a program, in no order. */
  adviceOn(program: FoundProgram): Weighed[] {
    const own = withoutShells(this.#adviceFor(program));
    // --with-package adds the interpreter of a script too.
    if (own.some(addsPackage)) return own;
    const interpreters = this.#interpretersOf(program);
    return [
      ...own,
      ...interpreters.flatMap((interpreter) => this.#dataOf(interpreter)),
      ...this.#wrappedBy(program).flatMap((wrapped) => [
        ...this.#adviceFor(wrapped),
        ...this.#interpretersOf(wrapped).flatMap((interpreter) => this.#dataOf(interpreter)),
      ]),
    ];
  }

  /** Returns the programs of a shell script's own source package that it runs, as wrappers do. */
  #wrappedBy({ trace }: FoundProgram): FoundProgram[] {
    if (this.#families === undefined || !this.#jail.isFollowed(trace.path)) return [];
    const sources = new Set(this.#families.ownersOf(trace).map(sourceOf));
    return this.#foundAt(this.#jail.runBy(trace.path, 'command')).filter((wrapped) =>
      this.#families?.ownersOf(wrapped.trace).some((owner) => sources.has(sourceOf(owner))),
    );
  }

  /**
   * Returns the absent program of a script's own package whose name is among the words of a computed
   * command: `rcs` for `"$directory"rcs ci`.
   */
  ownProgramIn({ script, text }: ScriptGap): OwnProgram | undefined {
    const trace = this.#probe.trace(script);
    if (this.#families === undefined || !isTrace(trace)) return undefined;
    const words = new Set(text.match(/[A-Za-z][\w.+-]+/g) ?? []);
    for (const owner of this.#families.ownersOf(trace)) {
      const path = this.#database
        ?.filesOf(owner)
        ?.find(
          (file) => PROGRAM.test(file) && words.has(baseName(file)) && this.#lacks.isAbsent(file),
        );
      if (path !== undefined) return { path, from: owner.name };
    }
    return undefined;
  }

  /** Returns the interpreters of a script other than shells. */
  #interpretersOf({ trace, as }: FoundProgram): FoundProgram[] {
    if (this.#jail.read(trace).elf !== undefined) return [];
    const interpreters = new Set([
      ...this.#jail.runBy(trace.path, 'shebang', 'env').filter((path) => !isShell(path)),
      // A shell script may run an interpreter on itself.
      ...this.#jail.runBy(trace.path, 'command').filter((path) => languageOf(path) !== undefined),
    ]);
    return this.#foundAt([...interpreters]).map((interpreter) => ({ ...interpreter, as }));
  }

  #foundAt(paths: readonly string[]): FoundProgram[] {
    return paths.flatMap((path) => {
      const trace = this.#probe.trace(path);
      return isTrace(trace) ? [{ as: path, trace }] : [];
    });
  }

  /** Returns the advice on an interpreter's own modules, attributed to the script. */
  #dataOf({ as, trace }: FoundProgram): Weighed[] {
    return this.#adviceFor({ as: trace.path, trace })
      .filter(({ advice }) => advice.id === 'data' && !advice.add.includes('--include'))
      .map(({ weight, advice }) => {
        const text = `${baseName(as)} is run by ${advice.text.replace(' names', ', which names')}`;
        return { weight, advice: { ...advice, program: as, text } };
      });
  }

  /** Returns the shell that a program starts; none for shells themselves. */
  #shellOf(
    trace: Trace,
    imports: readonly string[],
    named: readonly Named[],
    owners: readonly InstalledPackage[],
  ): string | undefined {
    if (isShell(trace.path)) return undefined;
    // Libraries name the shell for all programs that load them.
    const own = named.filter(({ by }) => by === trace);
    const shell = startedShell(imports, own);
    if (shell === undefined) return undefined;
    // In most programs system(3) serves a rare command, and in interpreters their scripts.
    const isNamed = named.some(({ name }) => isShell(name));
    const interprets = owners.some(({ section }) => INTERPRETING.has(section ?? ''));
    // A basic tool that does not choose programs itself runs what its user specifies: chroot, split
    // --filter.
    if (owners.some(({ isEssential }) => isEssential) && !startsOwnChoice(imports))
      return undefined;
    return isNamed || interprets ? shell : undefined;
  }

  /**
   * Returns the shell that a library of a program's own source package starts for command lines that
   * are in its data: it does so for this program above all.
   */
  #shellOfLibraries(program: Trace, owners: readonly InstalledPackage[]): string | undefined {
    const sources = new Set(owners.map(sourceOf));
    const [, ...libraries] = this.#parts.objectsOf(program, owners);
    const runs = libraries.some(
      (library) =>
        this.#parts.ownersOfLibrary(library.path).some((owner) => sources.has(sourceOf(owner))) &&
        this.#parts.commandLinesOf(library).length > 0,
    );
    return runs ? SYSTEM_SHELL : undefined;
  }

  /**
   * Advises on programs of dependencies, and of every system, that a program names by path and may
   * start. Shells are advised as such.
   */
  #sayPrograms(
    program: Trace,
    owners: readonly InstalledPackage[],
    named: readonly Named[],
    name: string,
    say: (weight: number, id: Advice['id'], text: string, add: readonly string[]) => void,
  ): void {
    if (this.#database === undefined || this.#families === undefined) return;
    // The commands of scripts are added.
    if (this.#jail.isFollowed(program.path)) return;
    const absent = named.filter(
      ({ name: path, trace, by }) =>
        by === program && PROGRAM.test(trace.path) && !isShell(path) && !this.#lacks.isThere(trace),
    );
    if (absent.length === 0 || !this.#startsOthers(program)) return;
    const near = this.#families.dependencies(owners, 1, true);
    const isBasic = owners.some(({ isEssential }) => isEssential);
    const byPath = this.#database.ownersOf(absent.map(({ trace }) => trace.path));
    const paths = absent.flatMap(({ name: path, trace }) => {
      const among = byPath.get(trace.path) ?? [];
      return among.some((item) => (item.isEssential ? !isBasic : near.has(item))) ? [path] : [];
    });
    if (paths.length > 0) say(2, 'commands', `${name} may run ${paths.join(', ')}`, paths);
  }

  /** Advises on essential programs whose command lines are in the program's data. */
  #sayCommands(
    trace: Trace,
    imports: readonly string[],
    name: string,
    say: (weight: number, id: Advice['id'], text: string, add: readonly string[]) => void,
  ): void {
    if (this.#database === undefined || !runsCommandLines(imports)) return;
    const words = this.#parts.commandLinesOf(trace);
    const found = essentialCommands(this.#probe, trace, words, this.#database);
    const absent = [...found].filter(([, command]) => !this.#jail.has(command.path));
    if (absent.length === 0) return;
    const names = absent.map(([command]) => command);
    const shell = this.#lacks.has('/bin/sh') ? [] : ['/bin/sh'];
    say(1, 'commands', `${name} may run ${names.join(', ')} through /bin/sh`, [...names, ...shell]);
  }

  /**
   * Advises on an essential program of which a program is a variant, according to its name, and which
   * it may start by name: `diff` for `wdiff`.
   */
  #sayOriginal(
    owners: readonly InstalledPackage[],
    imports: readonly string[],
    name: string,
    say: (weight: number, id: Advice['id'], text: string, add: readonly string[]) => void,
  ): void {
    if (!startsByName(imports) || owners.some(({ isEssential }) => isEssential)) return;
    if (this.#database === undefined) return;
    const original = originalOf(this.#probe, name, this.#database);
    if (original === undefined || this.#jail.has(original.path)) return;
    say(2, 'commands', `${name} may run ${original.path}`, [original.path]);
  }

  /** Advises on configuration that a library of the program names, and that its installation made. */
  #sayConfigured(
    elf: ElfFile | undefined,
    name: string,
    say: (weight: number, id: Advice['id'], text: string, add: readonly string[]) => void,
  ): void {
    if (elf === undefined) return;
    for (const path of this.#parts.librariesOf(elf)) {
      const library = this.#probe.trace(path);
      const read = isTrace(library) ? this.#jail.read(library).elf : undefined;
      if (!isTrace(library) || read === undefined) continue;
      const made = this.#parts
        .ownersOfLibrary(path)
        .flatMap((owner) => this.#madeBy(owner))
        .filter((file) => !this.#jail.has(file.path));
      if (made.length === 0) continue;
      const named = new Set(this.#parts.namedBy(library, read).map(({ trace }) => trace.path));
      for (const file of made) {
        if (!named.has(file.path)) continue;
        say(2, 'data', `${name} loads ${baseName(path)}, which names ${file.path}`, [
          '--include',
          file.path,
        ]);
      }
    }
  }

  /** Advises on modules through which a library of the program works, and of which the jail has none. */
  #sayModules(
    elf: ElfFile | undefined,
    name: string,
    say: (weight: number, id: Advice['id'], text: string, add: readonly string[]) => void,
  ): void {
    if (elf === undefined || this.#database === undefined) return;
    for (const path of this.#parts.nearLibrariesOf(elf)) {
      const library = this.#probe.trace(path);
      const imports = isTrace(library) ? (this.#jail.read(library).facts?.imports ?? []) : [];
      if (!opensModules(imports)) continue;
      for (const owner of this.#parts.ownersOfLibrary(path)) {
        const directory = moduleDirectories(this.#database, owner).find(
          (item) => worksThrough(item, imports) && !NOISE.test(item.path),
        );
        if (directory === undefined) continue;
        const found = this.#probe.trace(directory.path);
        if (!isTrace(found) || this.#lacks.holds(found)) continue;
        const text = `${name} loads ${baseName(path)}, which opens modules in ${directory.path}, from ${owner.name}`;
        say(2, 'data', text, ['--with-package']);
        return;
      }
    }
  }

  /** Advises on the configuration and fonts of a program that finds fonts through a library. */
  #sayFonts(
    elf: ElfFile | undefined,
    name: string,
    say: (weight: number, id: Advice['id'], text: string, add: readonly string[]) => void,
  ): void {
    if (elf === undefined || this.#database === undefined || this.#lacks.has(FONTS)) return;
    const library = this.#parts.loadedBy(elf, FONT_LIBRARY);
    if (library === undefined || !isTrace(this.#probe.trace(FONTS))) return;
    const text = `${name} finds fonts through ${baseName(library)}, but the jail has no ${FONTS}`;
    say(2, 'data', text, ['--with-package']);
  }

  /** Advises on the configuration and modules of PAM, without which nobody can authenticate. */
  #sayAuthentication(
    imports: readonly string[],
    name: string,
    say: (weight: number, id: Advice['id'], text: string, add: readonly string[]) => void,
  ): void {
    if (this.#database === undefined || !imports.includes('pam_start')) return;
    const directory = this.#probe.trace(PAM);
    if (!isTrace(directory) || this.#lacks.holds(directory)) return;
    say(3, 'data', `${name} authenticates through PAM, but the jail has no ${PAM}`, [
      '--with-package',
    ]);
  }

  /** Advises on the character set that a program converts by itself. */
  #sayCharsets(
    program: Trace,
    imports: readonly string[],
    name: string,
    say: (weight: number, id: Advice['id'], text: string, add: readonly string[]) => void,
  ): void {
    if (!imports.includes('iconv_open')) return;
    const libc = this.#jail.library('libc.so.6');
    if (libc === undefined || this.#jail.holds(libc.replace(/[^/]*$/, 'gconv'))) return;
    const charset = ownCharset(this.#parts.mentionsOf(program));
    if (charset === undefined) return;
    say(1, 'data', `${name} converts ${charset}, for which the jail has no module`, [
      '--gconv',
      charset,
    ]);
  }

  /** Advises on providers of OpenSSL that a program loads by name. */
  #sayProviders(
    program: Trace,
    elf: ElfFile | undefined,
    imports: readonly string[],
    name: string,
    say: (weight: number, id: Advice['id'], text: string, add: readonly string[]) => void,
  ): void {
    if (elf === undefined || !imports.includes('OSSL_PROVIDER_load')) return;
    const libcrypto = this.#parts.loadedBy(elf, PROVIDER_LIBRARY);
    if (libcrypto === undefined) return;
    const mentions = this.#parts.mentionsOf(program);
    const paths = mentionedProviders(this.#probe, libcrypto, mentions)
      .map(({ path }) => path)
      .filter((path) => !this.#jail.has(path));
    if (paths.length > 0) say(2, 'data', `${name} may load ${paths.join(', ')}`, paths);
  }

  #madeBy(owner: InstalledPackage): readonly Trace[] {
    const known = this.#made.get(owner);
    if (known !== undefined || this.#database === undefined) return known ?? [];
    const made = madeConfiguration(this.#probe, owner, this.#database);
    this.#made.set(owner, made);
    return made;
  }

  /** Advises on data of the program's own package and its dependencies. */
  #sayData(
    program: FoundProgram,
    owners: readonly InstalledPackage[],
    named: readonly Named[],
    say: (weight: number, id: Advice['id'], text: string, add: readonly string[]) => void,
  ): void {
    const [own] = owners;
    if (own === undefined || this.#database === undefined || this.#families === undefined) return;
    const name = baseName(program.as);
    const { facts } = this.#jail.read(program.trace);
    // Servers rarely start without configuration, even if it only repeats the defaults.
    const isService = isSystemServer(program.trace, facts?.imports ?? []);
    // What a jail has costs no look at its name.
    const absent = named.filter(
      ({ trace, by }) =>
        !this.#lacks.isThere(trace) &&
        (isData(trace) ||
          (by === program.trace &&
            isConfiguration(trace) &&
            (isService || this.#hasSettings(trace)))) &&
        !this.#lacks.holds(trace),
    );
    const byPath = this.#database.ownersOf([...new Set(absent.map(({ trace }) => trace.path))]);
    if (byPath.size > 0) {
      const near = new Set(owners.map(sourceOf));
      const all = this.#dependencies(owners, Number.POSITIVE_INFINITY);
      const direct = this.#dependencies(owners, 1);
      const isOfFamily = this.#isOfFamilyOf(owners);
      const wanted = absent.flatMap(({ name: as, trace, by, isSearched }) => {
        const among = byPath.get(trace.path) ?? [];
        const suitable = among.filter(
          (item) =>
            !item.isEssential &&
            this.#hasUse(trace, item, program.trace, by) &&
            (!CONFIGURATION.test(trace.path) || owners.includes(item)) &&
            (owners.includes(item) ||
              all(item) ||
              (by === program.trace && among.length === 1 && this.#families?.isData(item)) ||
              (near.has(sourceOf(item)) && isOfFamily(item))) &&
            (by === program.trace ||
              this.#mayNeed(by, item) ||
              // What a library looks for in several places, it does not work without; that of many
              // programs needs it for some of them.
              (isSearched && owners.includes(item) && this.#hasFewPrograms(item)) ||
              // Modules and data that a library loads for the programs of another package.
              (trace.stat.type === 'directory' && (owners.includes(item) || direct(item)))),
        );
        return suitable.map((owner) => ({ as, owner, by, trace }));
      });
      const packages = new Set(wanted.map(({ owner }) => owner));
      // Defaults often replace a missing configuration.
      const data = wanted.filter(({ trace }) => !CONFIGURATION.test(trace.path));
      const first = data.find(({ owner }) => near.has(sourceOf(owner))) ?? data[0] ?? wanted[0];
      if (first !== undefined) {
        const isOwn = near.has(sourceOf(first.owner));
        // A program that starts others needs more of its package than the paths that it names.
        const single =
          packages.size === 1 &&
          (first.by === program.trace || this.#isOfSource(first.by, near)) &&
          !owners.includes(first.owner) &&
          !this.#hasModules(first.owner) &&
          !owners.some((owner) => this.#hasData(owner)) &&
          !this.#startsOthers(program.trace);
        say(
          isOwn ? 4 : 2,
          'data',
          `${name} names ${first.as}, from ${first.owner.name}`,
          single ? ['--package', first.owner.name] : ['--with-package'],
        );
        return;
      }
    }
    const part = this.#absentParts?.find(program.trace, owners);
    if (part !== undefined) {
      say(4, 'data', `${name} names ${part.file}, from ${part.from}`, ['--with-package']);
      return;
    }
    const at = this.#configurationOf(program.trace, own);
    if (at === undefined) return;
    const text = `${name} is a server with configuration in ${at}, from ${own.name}`;
    say(3, 'data', text, ['--with-package']);
  }

  /**
   * Advises on a directory of a program's own package that has its name, for programs of which it is
   * not known what they name: scripts in a language with modules, and static programs.
   */
  #sayOwnDirectory(
    program: FoundProgram,
    owners: readonly InstalledPackage[],
  ): Weighed | undefined {
    const names = new Set(
      [program.as, program.trace.path].map((path) => baseName(path).replace(VERSION, '')),
    );
    for (const owner of owners) {
      if (owner.isEssential) continue;
      for (const file of this.#database?.filesOf(owner) ?? []) {
        const [, directory, own = ''] = OWN_DIRECTORY.exec(file) ?? [];
        if (directory === undefined || !names.has(own.replace(VERSION, ''))) continue;
        if (NOISE.test(file) || !isRunTimeFile(file) || !this.#lacks.isAbsent(file)) continue;
        const name = baseName(program.as);
        const text = `${name} may need ${directory}, from ${owner.name}`;
        const add = ['--with-package'];
        return { weight: 3, advice: { id: 'data', program: program.as, text, add } };
      }
    }
    return undefined;
  }

  /** Returns the absent directory of configuration that has the name of a server. */
  #configurationOf(program: Trace, owner: InstalledPackage): string | undefined {
    const { facts } = this.#jail.read(program);
    if (!isSystemServer(program, facts?.imports ?? [])) return undefined;
    const directory = `/etc/${baseName(program.path)}`;
    const isWanted = (file: string) =>
      file.startsWith(`${directory}/`) && this.#lacks.isAbsent(file);
    return this.#database?.filesOf(owner)?.some(isWanted) ? directory : undefined;
  }

  /** Returns a function that tells whether packages depend on another one. */
  #dependencies(
    owners: readonly InstalledPackage[],
    depth: number,
  ): (other: InstalledPackage) => boolean {
    let found: ReadonlySet<InstalledPackage> | undefined;
    return (other) => {
      found ??= this.#families?.dependencies(owners, depth, true) ?? new Set();
      return found.has(other);
    };
  }

  /** Returns a function that tells whether `--with-package` adds a package of the same source. */
  #isOfFamilyOf(owners: readonly InstalledPackage[]): (other: InstalledPackage) => boolean {
    let found: ReadonlySet<InstalledPackage> | undefined;
    return (other) => {
      found ??= this.#families?.family(owners) ?? new Set();
      return found.has(other);
    };
  }

  /**
   * Returns whether a program has a use for what a package has at a path. It has none for a
   * directory in which the package has no file, since that is for files that programs make or that
   * other packages add, and none for programs in directories unless it starts some.
   *
   * @param by the object that names the path
   */
  #hasUse({ path, stat }: Trace, owner: InstalledPackage, program: Trace, by: Trace): boolean {
    if (stat.type !== 'directory') {
      // Libraries start programs for some of those that load them.
      return by === program || (stat.mode & 0o111) === 0 || this.#startsOthers(program);
    }
    const below = this.#database
      ?.filesOf(owner)
      ?.filter(
        (file) => file.startsWith(`${path}/`) || unmerged(file).startsWith(`${unmerged(path)}/`),
      );
    if (below === undefined) return true;
    const types = below.slice(0, MAX_BELOW).flatMap((file) => {
      const found = this.#probe.trace(file);
      if (!isTrace(found) || found.stat.type === 'directory') return [];
      return [(found.stat.mode & 0o111) !== 0 ? 'program' : 'data'];
    });
    if (types.length === 0) return below.length > MAX_BELOW;
    return types.includes('data') || below.length > MAX_BELOW || this.#startsOthers(program);
  }

  /** Returns whether a configuration file has more than comments, which say what the defaults are. */
  #hasSettings(file: Trace): boolean {
    if (file.stat.size > MAX_SETTINGS) return true;
    return this.#probe
      .readText(file)
      .split('\n')
      .some((line) => /^\s*[^\s#;!"%/-]/.test(line));
  }

  /** Returns whether a package has run-time files other than programs and configuration. */
  #hasData(owner: InstalledPackage): boolean {
    const listed = this.#database?.filesOf(owner) ?? [];
    const directories = new Set(listed.map((file) => file.slice(0, file.lastIndexOf('/'))));
    return listed.some(
      (file) =>
        !directories.has(file) &&
        !PROGRAM.test(file) &&
        !CONFIGURATION.test(file) &&
        !NOISE.test(file) &&
        isRunTimeFile(file),
    );
  }

  #hasFewPrograms(owner: InstalledPackage): boolean {
    return this.#database !== undefined && hasFewPrograms(owner, this.#database);
  }

  /** Returns whether a package has modules, which may need more than their package. */
  #hasModules(owner: InstalledPackage): boolean {
    return this.#database?.filesOf(owner)?.some((file) => MODULE.test(file)) ?? false;
  }

  /** Returns whether a library is of one of the given source packages. */
  #isOfSource(library: Trace, sources: ReadonlySet<string>): boolean {
    return this.#parts.ownersOfLibrary(library.path).some((own) => sources.has(sourceOf(own)));
  }

  /** Returns whether a library may need a package: its own, or one that this depends on. */
  #mayNeed(library: Trace, owner: InstalledPackage): boolean {
    const own = this.#parts.ownersOfLibrary(library.path);
    if (own.includes(owner)) return true;
    return this.#families?.dependencies(own, Number.POSITIVE_INFINITY, true).has(owner) ?? false;
  }

  #startsOthers(trace: Trace): boolean {
    const { elf, facts } = this.#jail.read(trace);
    return elf === undefined || startsPrograms(facts?.imports ?? []);
  }

  #lacksCertificates(program: Trace, owners: readonly InstalledPackage[]): boolean {
    if (CERTIFICATES.some((path) => this.#jail.has(path))) return false;
    if (owners.some(({ section }) => SELDOM_CLIENTS.has(section ?? ''))) return false;
    // A library of another package also serves programs that are no clients.
    const own = this.#parts
      .objectsOf(program, owners)
      .filter(
        (object) =>
          object === program ||
          this.#parts.ownersOfLibrary(object.path).some((item) => owners.includes(item)),
      );
    return own.some((object) => isTlsClient(this.#jail.read(object).facts?.imports ?? []));
  }

  /** Returns a secret of the host that a program names, in a directory of its own package. */
  #secretOf(named: readonly NamedPath[], owners: readonly InstalledPackage[]): string | undefined {
    const secrets = named.filter(
      ({ trace }) =>
        /^\/(etc|var\/lib)\/[^/]+\//.test(trace.path) &&
        trace.stat.type === 'file' &&
        (trace.stat.mode & 0o004) === 0 &&
        !this.#jail.has(trace.path),
    );
    if (secrets.length === 0 || this.#database === undefined) return undefined;
    const parents = secrets.map(({ trace }) => trace.path.replace(/\/[^/]+$/, ''));
    const byPath = this.#database.ownersOf(parents);
    const near = new Set(owners.map(sourceOf));
    return secrets.find((_, index) =>
      byPath.get(parents[index] ?? '')?.some((owner) => near.has(sourceOf(owner))),
    )?.trace.path;
  }
}

function isSystemServer({ path }: Trace, imports: readonly string[]): boolean {
  return SYSTEM_PROGRAM.test(path) && isServer(imports);
}

/** Returns whether advice is to add the package of the program, with all that it needs. */
function addsPackage({ advice }: Weighed): boolean {
  return advice.add.includes('--with-package');
}

/** Leaves out advice to add only a shell that other advice adds with more. */
function withoutShells(found: readonly Weighed[]): Weighed[] {
  const others = found.filter(({ advice }) => advice.id !== 'shell');
  const added = new Set(others.flatMap(({ advice }) => advice.add));
  return found.filter(
    ({ advice }) => advice.id !== 'shell' || !advice.add.every((one) => added.has(one)),
  );
}

/** Returns a path as packages from before the merge of /usr name it. */
function unmerged(path: string): string {
  return path.replace(/^\/usr(?=\/(s?bin|lib\w*)\/)/, '');
}
