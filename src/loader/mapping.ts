import { JailbuildError } from '../errors.js';
import type { Trace } from '../fs/sysroot.js';
import type { MissingLibrary, SearchRule } from '../manifest/manifest.js';
import { atOnce, PACE, type Steps } from '../manifest/steps.js';
import { baseName } from '../text/base-name.js';
import { checkMappable } from './acceptance.js';
import type { Alternative } from './cpu.js';
import { type LoadedObject, loadedObject } from './loaded-object.js';
import type { LibrarySearch } from './search.js';
import { type Found, isFound, type NotFound } from './search-result.js';
import { checkVersions, type VersionReport } from './version-check.js';

/** One name that an object needs, and the object it resolves to. */
export interface Edge {
  readonly by: LoadedObject;
  readonly name: string;
  readonly rule: SearchRule;
  readonly to: LoadedObject;
  /** The path that the lookup finds; undefined if an object already loaded satisfies the name. */
  readonly lookup: Trace | undefined;
  /** That path in the loader's spelling. */
  readonly path: string | undefined;
}

export function isEdge(result: Edge | NotFound): result is Edge {
  return 'to' in result;
}

/** Returns the result of `work`, or undefined if it meets a file that the loader cannot map. */
function tolerate<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch (error) {
    if (error instanceof JailbuildError) return undefined;
    throw error;
  }
}

/** More than the directories times the missing libraries of any real program. */
const MAX_LOOKED = 100_000;

/** musl ends the process (dynlink.c, load_library). */
function emptyName({ trace: { path } }: LoadedObject): JailbuildError {
  return new JailbuildError(
    'MALFORMED_ELF',
    `${path}: DT_NEEDED is empty, which the loader of musl refuses: link the file again`,
    path,
  );
}

function tooMany({ trace: { path } }: LoadedObject): JailbuildError {
  const problem = `its libraries would have to be looked for in over ${MAX_LOOKED} places`;
  return new JailbuildError(
    'MALFORMED_ELF',
    `${path}: malformed ELF file: dynamic section: ${problem}`,
    path,
  );
}

/**
 * Maps a process on one processor as the loader does: breadth first over needed names, where an object
 * already loaded satisfies its names (glibc elf/dl-deps.c, elf/dl-load.c; musl
 * ldso/dynlink.c).
 */
export class Mapping {
  /** In the loader's order: the program, the interpreter, then the others as they are found. */
  readonly objects: LoadedObject[];
  /** Objects in namespaces of audit modules. */
  readonly audited: LoadedObject[] = [];
  readonly edges: Edge[] = [];
  readonly missing: MissingLibrary[] = [];
  /** Problems that the loader only prints, one sentence each. */
  readonly warnings: string[] = [];
  readonly alternatives: Alternative[] = [];
  readonly #search: LibrarySearch;
  readonly #interpreter: LoadedObject | undefined;
  readonly #names = new Map<string, LoadedObject>();
  readonly #byIdentity = new Map<string, LoadedObject>();
  readonly #walked = new Set<LoadedObject>();
  /** Objects whose symbol versions have been checked. */
  readonly #checked = new Set<LoadedObject>();
  /** musl's short names. */
  readonly #hasShortName = new Set<LoadedObject>();
  /** Places where libraries were looked for and not found. */
  #looked = 0;
  #requests = 0;

  private constructor(
    program: LoadedObject | undefined,
    interpreter: LoadedObject | undefined,
    search: LibrarySearch,
  ) {
    this.#search = search;
    this.#interpreter = interpreter;
    this.objects = [program, interpreter].filter((object) => object !== undefined);
    for (const object of this.objects) {
      this.#byIdentity.set(object.trace.stat.identity, object);
      const soname = object.elf.dynamic?.soname;
      if (this.#isGlibc && soname !== undefined) this.#name(soname, object);
    }
    // The interpreter relocates itself and needs nothing.
    if (interpreter !== undefined) {
      this.#name(interpreter.name, interpreter);
      this.#walked.add(interpreter);
    }
  }

  /**
   * Maps a process, with steps for the names that are looked up.
   *
   * @param program undefined for a separate namespace, such as that of an audit module
   *   (rtld-audit(7))
   * @param interpreter the loader itself, which satisfies its soname
   */
  static *inSteps(
    program: LoadedObject | undefined,
    interpreter: LoadedObject | undefined,
    search: LibrarySearch,
  ): Steps<Mapping> {
    const mapping = new Mapping(program, interpreter, search);
    yield* mapping.#walk();
    yield* mapping.#checkVersions();
    if (program !== undefined && mapping.#isGlibc) mapping.#audit(program);
    return mapping;
  }

  /** Opens `name` as dlopen(3) does when the object `by` calls it. */
  open(name: string, by: LoadedObject): Edge | NotFound {
    const result = this.#map(by, name);
    atOnce(this.#walk());
    atOnce(this.#checkVersions());
    return result;
  }

  /** Returns whether objects of the process define all versions that another one needs, as nearly always. */
  meets(object: LoadedObject): boolean {
    const { missing, warnings } = this.#compareVersions(object);
    return missing.length === 0 && warnings.length === 0;
  }

  get #isGlibc(): boolean {
    return this.#search.flavor.kind === 'glibc';
  }

  /** Names an object, unless another one already has the name. */
  #name(name: string, object: LoadedObject): void {
    if (!this.#names.has(name)) this.#names.set(name, object);
  }

  *#walk(): Steps<void> {
    for (let at = 0; at < this.objects.length; ) {
      const object = this.objects[at];
      if (object === undefined || this.#walked.has(object)) {
        at++;
        continue;
      }
      this.#walked.add(object);
      // Filter objects precede it and are mapped at once.
      let front = at;
      let { answered } = this.#search;
      for (const { kind, name } of object.elf.dynamic?.dependencies ?? []) {
        if (kind !== 'needed' && !this.#isGlibc) continue;
        const result = this.#request(object, name, kind === 'auxiliary');
        if (kind !== 'needed' && result !== undefined && this.#moveTo(front, result)) front++;
        if (++this.#requests % PACE === 0 || this.#search.answered !== answered) yield;
        answered = this.#search.answered;
      }
    }
  }

  /** Checks the symbol versions of new objects. musl ignores them (ldso/dynlink.c, find_sym). */
  *#checkVersions(): Steps<void> {
    if (!this.#isGlibc) return;
    for (const object of this.objects) {
      if (this.#checked.has(object)) continue;
      this.#checked.add(object);
      const { missing, warnings } = this.#compareVersions(object);
      this.missing.push(...missing);
      this.warnings.push(...warnings);
      if (this.#checked.size % PACE === 0) yield;
    }
  }

  #compareVersions(object: LoadedObject): VersionReport {
    return checkVersions(
      object,
      (name) => this.#names.get(name),
      (name) => this.missing.some((library) => library.name === name),
      this.#search.flavor.stopsAtUnversioned,
    );
  }

  /**
   * Moves an object forward to a place.
   *
   * @returns false if the object already precedes that place
   */
  #moveTo(place: number, object: LoadedObject): boolean {
    const from = this.objects.indexOf(object);
    if (from <= place) return false;
    this.objects.splice(from, 1);
    this.objects.splice(place, 0, object);
    return true;
  }

  /** @param optional whether the loader can continue without the object */
  #request(by: LoadedObject, name: string, optional: boolean): LoadedObject | undefined {
    // glibc names the program so (rtld.c, dl_main), which is loaded already.
    if (this.#isGlibc && name === '') return undefined;
    if (name === '') throw emptyName(by);
    const result = optional ? tolerate(() => this.#map(by, name)) : this.#map(by, name);
    if (result === undefined) return undefined;
    if (isEdge(result)) {
      this.edges.push(result);
      return result.to;
    }
    if (!optional) {
      const { alternatives: _, ...places } = result;
      this.missing.push({ name, neededBy: by.trace.path, ...places });
    }
    return undefined;
  }

  #map(by: LoadedObject, name: string): Edge | NotFound {
    const known = this.#known(by, name);
    if (known !== undefined) {
      const rule = known.requestedAs.includes(name) ? known.rule : 'loaded';
      return { by, name, rule, to: known, lookup: undefined, path: undefined };
    }
    const found = this.#search.find(name, by);
    if (found.alternatives !== undefined) this.alternatives.push(...found.alternatives);
    if (!isFound(found)) {
      this.#looked += found.searched.length;
      if (this.#looked > MAX_LOOKED) throw tooMany(by);
      return found;
    }
    const to = this.#byIdentity.get(found.trace.stat.identity) ?? this.#load(found, by);
    to.requestedAs.push(name);
    this.#nameByRequest(to, name, by);
    return { by, name, rule: found.rule, to, lookup: found.trace, path: found.name };
  }

  #known(by: LoadedObject, name: string): LoadedObject | undefined {
    if (this.#search.isOwnName(name)) return this.#interpreter;
    const taken = this.#search.nameFor(name, by);
    return taken === undefined ? undefined : this.#names.get(taken);
  }

  #load(found: Found, by: LoadedObject): LoadedObject {
    const { name, trace, elf, rule, level } = found;
    checkMappable(name, elf, this.#search.flavor.kind);
    const object = loadedObject(name, trace, elf, by, rule, level);
    this.objects.push(object);
    this.#byIdentity.set(trace.stat.identity, object);
    if (this.#isGlibc) {
      this.#name(name, object);
      const soname = elf.dynamic?.soname;
      if (soname !== undefined) this.#name(soname, object);
    }
    return object;
  }

  /**
   * Records the names of an object. glibc knows an object by each name that led to it; musl by one
   * short name, which it gets when a search first finds it: the end of the path by which it was
   * opened (load_library).
   */
  #nameByRequest(object: LoadedObject, name: string, by: LoadedObject): void {
    const taken = this.#search.nameFor(name, by) ?? name;
    if (this.#isGlibc) {
      this.#name(taken, object);
    } else if (!taken.includes('/') && !this.#hasShortName.has(object)) {
      this.#hasShortName.add(object);
      this.#name(baseName(object.name), object);
    }
  }

  /**
   * Loads the audit modules of the program's DT_AUDIT and DT_DEPAUDIT. glibc loads each into a
   * namespace of its own and continues without modules that it cannot find or map; it ignores those
   * of libraries (elf/rtld.c).
   */
  #audit(program: LoadedObject): void {
    for (const name of program.elf.dynamic?.audits ?? []) {
      const namespace = new Mapping(undefined, this.#interpreter, this.#search);
      const module = tolerate(() => {
        const found = namespace.#request(program, name, true);
        atOnce(namespace.#walk());
        return found;
      });
      this.alternatives.push(...namespace.alternatives);
      if (module === undefined) continue;
      this.edges.push(...namespace.edges);
      this.missing.push(...namespace.missing);
      this.audited.push(...namespace.objects.filter((object) => object !== this.#interpreter));
    }
  }
}
