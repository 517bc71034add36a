import { JailbuildError } from '../../errors.js';
import { PackageFamilies } from '../../evidence/packages/families.js';
import type { PackageDatabase } from '../../evidence/packages/package.js';
import type { Sysroot } from '../../fs/sysroot.js';
import type { Resolution } from '../additions.js';
import type { FoundProgram } from '../find-program.js';
import type { ScriptGap } from '../scripts/script-commands.js';
import { Adviser } from './advise.js';
import { AskedJail, type JailContents } from './jail-contents.js';
import { MentionedNames } from './mentioned-names.js';
import type { FileContents } from './program-parts.js';
import type { Weighed } from './script-advice.js';
import type { Verdicts } from './verdicts.js';

/** Makes an adviser for each program, so that what the advice on it depends on is known. */
export class Advisers {
  readonly #probe: Sysroot;
  readonly #jail: JailContents;
  readonly #database: PackageDatabase | undefined;
  readonly #families: PackageFamilies | undefined;
  readonly #contents: FileContents;

  constructor(
    { sysroot, programs }: Resolution,
    probe: Sysroot,
    jail: JailContents,
    database: PackageDatabase | undefined,
  ) {
    this.#probe = probe;
    this.#jail = jail;
    this.#database = database;
    this.#families = database && new PackageFamilies(probe, database);
    const mentions = new MentionedNames(sysroot);
    this.#contents = { root: sysroot, strings: programs.strings, mentions };
  }

  /** Returns the advice on a program, and keeps it. Advice that fails is no reason to fail. */
  adviceOn(program: FoundProgram, verdicts: Verdicts | undefined): readonly Weighed[] {
    const part = this.#probe.part();
    const jail = new AskedJail(this.#jail);
    const stamps = this.#database?.stamps;
    const { trace } = program;
    const seen = [...(stamps ?? []), trace.path, ...trace.links.map(({ path }) => path)];
    for (const path of seen) part.typeOf(path);
    try {
      const advice = this.#adviser(part, jail).adviceOn(program);
      if (stamps !== undefined) verdicts?.keep(program, { advice, part, jail, stamps });
      return advice;
    } catch (error) {
      if (!(error instanceof JailbuildError)) throw error;
      return [];
    }
  }

  /** Returns the program that a computed command of a script probably is. */
  readonly gaps = (gap: ScriptGap) =>
    this.#adviser(this.#probe, new AskedJail(this.#jail)).ownProgramIn(gap);

  #adviser(probe: Sysroot, jail: AskedJail): Adviser {
    return new Adviser({
      probe,
      database: this.#database,
      families: this.#families,
      jail,
      contents: this.#contents,
    });
  }
}
