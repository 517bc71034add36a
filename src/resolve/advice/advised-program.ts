import { isStatic } from '../../elf/static.js';
import type { ElfFile } from '../../elf/types.js';
import { type InstalledPackage, sourceOf } from '../../evidence/packages/package.js';
import type { Trace } from '../../fs/sysroot.js';
import type { Advice } from '../../manifest/advice.js';
import { baseName } from '../../text/base-name.js';
import type { FoundProgram } from '../find-program.js';
import { isServer } from '../usage/hints.js';
import { startsPrograms } from '../usage/shell.js';
import type { AdviceContext } from './context.js';
import { type Named, pathsNamedBy } from './program-paths.js';
import type { Weighed } from './script-advice.js';

/** Programs for administrators, among them servers; clients may listen too (hier(7)). */
const SYSTEM_PROGRAM = /\/sbin\/[^/]+$/;

/** A program with what the rules of advice ask about it, and the advice that they found. */
export class AdvisedProgram implements FoundProgram {
  readonly as: string;
  readonly trace: Trace;
  /** As advice names it. */
  readonly name: string;
  /** Undefined for a script. */
  readonly elf: ElfFile | undefined;
  /** Functions that it calls. */
  readonly imports: readonly string[];
  /** Its packages; none if they are unknown. */
  readonly owners: readonly InstalledPackage[];
  /** The names of their source packages. */
  readonly sources: ReadonlySet<string>;
  readonly #context: AdviceContext;
  readonly #found: Weighed[] = [];
  #named: readonly Named[] | undefined;

  constructor({ as, trace }: FoundProgram, context: AdviceContext) {
    const { elf, facts } = context.jail.read(trace);
    this.as = as;
    this.trace = trace;
    this.name = baseName(as);
    this.elf = elf;
    this.imports = facts?.imports ?? [];
    this.owners = context.ownersOf(trace);
    this.sources = new Set(this.owners.map(sourceOf));
    this.#context = context;
  }

  /** The advice so far. */
  get found(): readonly Weighed[] {
    return this.#found;
  }

  /** Whether its package is advised, with all that it needs. */
  get isBrought(): boolean {
    return this.#found.some(addsPackage);
  }

  /** Whether it is an executable that needs no libraries. */
  get isStatic(): boolean {
    return this.elf !== undefined && isStatic(this.elf);
  }

  /** Whether it is a script whose commands are known. */
  get isFollowed(): boolean {
    return this.#context.jail.isFollowed(this.trace.path);
  }

  /** Whether it is a server of the system. */
  get isSystemServer(): boolean {
    return SYSTEM_PROGRAM.test(this.trace.path) && isServer(this.imports);
  }

  /** Whether it may start other programs. */
  get startsOthers(): boolean {
    return this.elf === undefined || startsPrograms(this.imports);
  }

  /** Whether every system has it. */
  get isEssential(): boolean {
    return this.owners.some(({ isEssential }) => isEssential);
  }

  /** The program itself, and then the libraries of its source packages that it loads. */
  get objects(): readonly Trace[] {
    return this.#context.parts.objectsOf(this.trace, this.owners);
  }

  /** The files and directories of the host that it names, itself or through these libraries. */
  get named(): readonly Named[] {
    this.#named ??= pathsNamedBy(this, this.#context);
    return this.#named;
  }

  /**
   * Adds advice.
   *
   * @param weight how likely it is that the program lacks something
   * @param add the options or programs that add it
   */
  add(weight: number, id: Advice['id'], text: string, add: readonly string[]): void {
    this.#found.push({ weight, advice: { id, program: this.as, text, add } });
  }
}

/** Returns whether advice is to add the package of the program, with all that it needs. */
export function addsPackage({ advice }: Weighed): boolean {
  return advice.add.includes('--with-package');
}
