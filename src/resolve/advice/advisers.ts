import { JailbuildError } from '../../errors.js';
import { PackageFamilies } from '../../evidence/packages/families.js';
import type { PackageDatabase } from '../../evidence/packages/package.js';
import type { Sysroot } from '../../fs/sysroot.js';
import type { Resolution } from '../additions.js';
import type { FoundProgram } from '../find-program.js';
import type { ScriptGap } from '../scripts/script-commands.js';
import { adviceOnProgram } from './advise.js';
import { AdviceContext, type HostPackages } from './context.js';
import { AskedJail, type JailContents } from './jail-contents.js';
import { MentionedNames } from './mentioned-names.js';
import type { FileContents } from './program-parts.js';
import type { Weighed } from './script-advice.js';
import { ownProgramIn } from './script-programs.js';
import type { Verdicts } from './verdicts.js';

/** Advises on each program by itself, so that what the advice on it depends on is known. */
export class Advisers {
  readonly #probe: Sysroot;
  readonly #jail: JailContents;
  readonly #packages: HostPackages | undefined;
  readonly #contents: FileContents;

  constructor(
    { sysroot, programs }: Resolution,
    probe: Sysroot,
    jail: JailContents,
    database: PackageDatabase | undefined,
  ) {
    this.#probe = probe;
    this.#jail = jail;
    this.#packages = database && { database, families: new PackageFamilies(probe, database) };
    const mentions = new MentionedNames(sysroot, programs.strings);
    this.#contents = { root: sysroot, strings: programs.strings, mentions };
  }

  /** Returns the advice on a program, and keeps it. Advice that fails is no reason to fail. */
  adviceOn(program: FoundProgram, verdicts: Verdicts | undefined): readonly Weighed[] {
    const part = this.#probe.part();
    const jail = new AskedJail(this.#jail);
    const stamps = this.#packages?.database.stamps;
    const { trace } = program;
    const seen = [...(stamps ?? []), trace.path, ...trace.links.map(({ path }) => path)];
    for (const path of seen) part.typeOf(path);
    try {
      const advice = adviceOnProgram(program, this.#context(part, jail));
      if (stamps !== undefined) verdicts?.keep(program, { advice, part, jail, stamps });
      return advice;
    } catch (error) {
      if (!(error instanceof JailbuildError)) throw error;
      return [];
    }
  }

  /** Returns the program that a computed command of a script probably is. */
  readonly gaps = (gap: ScriptGap) =>
    ownProgramIn(gap, this.#context(this.#probe, new AskedJail(this.#jail)));

  #context(probe: Sysroot, jail: AskedJail): AdviceContext {
    return new AdviceContext({
      probe,
      packages: this.#packages,
      jail,
      contents: this.#contents,
    });
  }
}
