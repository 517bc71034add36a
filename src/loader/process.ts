import type { MissingLibrary } from '../manifest/manifest.js';
import { missingId } from '../manifest/missing.js';
import { atOnce, type Steps } from '../manifest/steps.js';
import { type Cpu, cpuKey, cpusFor } from './cpu.js';
import type { LoadedObject } from './loaded-object.js';
import { type Edge, isEdge, Mapping } from './mapping.js';
import type { LibrarySearch } from './search.js';
import type { Candidate, NotFound } from './search-result.js';

export { loadedObject } from './loaded-object.js';
export type { Edge } from './mapping.js';

/** A variant of a library, which some processors prefer to the baseline. */
export interface Variant extends Candidate {
  /** The name of its subdirectory, such as x86-64-v3. */
  readonly level: string;
}

export interface VariantEdge {
  /** The baseline that it replaces. */
  readonly of: LoadedObject;
  /** The requested name. */
  readonly name: string;
  readonly variant: Variant;
}

/** Everything that a process has mapped when the loader starts the program. */
export interface ProcessImage {
  /** All objects in loading order; those only for other processors come last. */
  readonly loaded: readonly LoadedObject[];
  readonly edges: readonly Edge[];
  readonly variants: readonly VariantEdge[];
  readonly missing: readonly MissingLibrary[];
  /** Warnings about lookups that may differ inside the jail. */
  readonly warnings: readonly string[];
  /**
   * Opens `name` as dlopen(3) does when the object `by` calls it. Returns the object, and appends
   * its dependencies to `loaded`, `edges`, `variants` and `missing`.
   */
  open(name: string, by: LoadedObject): Edge | NotFound;
  /** Returns whether the process defines all versions that another object needs, without a warning. */
  meets(object: LoadedObject): boolean;
}

/**
 * Maps a process as the loader does before it starts the program: on a processor with the baseline
 * features of its architecture, and then on every other one for which a different file would be
 * chosen.
 *
 * @param interpreter the loader itself, which satisfies its soname; undefined for a library without
 *   a program
 * @throws JailbuildError for a malformed object at which the loader would fail
 */
export function mapProcess(
  program: LoadedObject,
  interpreter: LoadedObject | undefined,
  search: LibrarySearch,
): ProcessImage {
  return atOnce(mapProcessInSteps(program, interpreter, search));
}

/** As {@link mapProcess}, with steps for the names that are looked up. */
export function* mapProcessInSteps(
  program: LoadedObject,
  interpreter: LoadedObject | undefined,
  search: LibrarySearch,
): Steps<ProcessImage> {
  const baseline = yield* Mapping.inSteps(program, interpreter, search);
  const image = new Image(program, interpreter, search, baseline);
  yield* image.collect();
  return image;
}

/** Returns the objects of a process on one processor, in the order of `ld.so --list`. */
export function mapOn(
  cpu: Cpu,
  program: LoadedObject,
  interpreter: LoadedObject | undefined,
  search: LibrarySearch,
): Mapping {
  return atOnce(Mapping.inSteps(program, interpreter, search.on(cpu)));
}

class Image implements ProcessImage {
  readonly loaded: LoadedObject[] = [];
  readonly edges: Edge[] = [];
  readonly variants: VariantEdge[] = [];
  readonly missing: MissingLibrary[] = [];
  readonly warnings: string[] = [];
  readonly #program: LoadedObject;
  readonly #interpreter: LoadedObject | undefined;
  readonly #search: LibrarySearch;
  readonly #baseline: Mapping;
  readonly #others = new Map<string, Mapping>();
  readonly #opened: { readonly name: string; readonly by: LoadedObject }[] = [];
  readonly #seen = new Set<string>();
  /** The identities of the loaded objects. */
  readonly #identities = new Set<string>();
  #baselineEdges = 0;
  #baselineMissing = 0;
  #baselineObjects = 0;

  constructor(
    program: LoadedObject,
    interpreter: LoadedObject | undefined,
    search: LibrarySearch,
    baseline: Mapping,
  ) {
    this.#program = program;
    this.#interpreter = interpreter;
    this.#search = search;
    this.#baseline = baseline;
  }

  open(name: string, by: LoadedObject): Edge | NotFound {
    const result = this.#baseline.open(name, by);
    for (const other of this.#others.values()) openIn(other, name, by);
    this.#opened.push({ name, by });
    // The caller records the reason for opening it.
    if (isEdge(result)) this.#isNew(edgeKey(result));
    atOnce(this.collect());
    return result;
  }

  meets(object: LoadedObject): boolean {
    return [this.#baseline, ...this.#others.values()].every((mapping) => mapping.meets(object));
  }

  /** Adds what the mappings have found since the last call. */
  *collect(): Steps<void> {
    const { edges, missing, objects, audited } = this.#baseline;
    for (; this.#baselineEdges < edges.length; this.#baselineEdges++) {
      const edge = edges[this.#baselineEdges];
      if (edge !== undefined) this.edges.push(edge);
    }
    for (; this.#baselineMissing < missing.length; this.#baselineMissing++) {
      const library = missing[this.#baselineMissing];
      if (library !== undefined) this.missing.push(library);
    }
    // Without new objects there is nothing to add.
    if (objects.length + audited.length !== this.#baselineObjects) {
      this.#baselineObjects = objects.length + audited.length;
      for (const object of objects) this.#addLoaded(object);
      for (const object of audited) this.#addLoaded(object);
      yield;
    }
    this.#addWarnings(this.#baseline);
    const byOrigin = this.#search.originWarning(this.#program, this.loaded);
    if (byOrigin !== undefined && !this.warnings.includes(byOrigin)) this.warnings.push(byOrigin);
    yield* this.#mapOnOthers();
    if (this.#others.size === 0) return;
    for (const edge of this.edges) this.#isNew(edgeKey(edge));
    for (const library of this.missing) this.#isNew(missingKey(library));
    for (const other of this.#others.values()) this.#addOther(other);
  }

  /** Repeats until no processor selects further alternatives. */
  *#mapOnOthers(): Steps<void> {
    for (let known = -1; known !== this.#others.size; ) {
      known = this.#others.size;
      const mappings = [this.#baseline, ...this.#others.values()];
      const alternatives = mappings.flatMap((mapping) => mapping.alternatives);
      if (alternatives.length === 0) return;
      for (const cpu of cpusFor(this.#search.abi, alternatives)) {
        const key = cpuKey(cpu);
        if (this.#others.has(key)) continue;
        const search = this.#search.on(cpu);
        const other = yield* Mapping.inSteps(this.#program, this.#interpreter, search);
        for (const { name, by } of this.#opened) openIn(other, name, by);
        this.#others.set(key, other);
      }
    }
  }

  /** Adds objects that only another processor loads. */
  #addOther(other: Mapping): void {
    for (const edge of other.edges) {
      const { to, name } = edge;
      const baseline = this.edges.find(
        (one) => one.name === name && one.to.level === undefined,
      )?.to;
      if (to.level === undefined || baseline === undefined) {
        if (this.#isNew(edgeKey(edge))) this.edges.push(edge);
      } else if (this.#isNew(`variant\0${name}\0${to.name}`)) {
        const { trace, elf, level } = to;
        this.variants.push({ of: baseline, name, variant: { name: to.name, trace, elf, level } });
      }
    }
    for (const library of other.missing) {
      if (this.#isNew(missingKey(library))) this.missing.push(library);
    }
    for (const object of [...other.objects, ...other.audited]) this.#addLoaded(object);
    this.#addWarnings(other);
  }

  #addWarnings({ warnings }: Mapping): void {
    for (const warning of warnings) {
      if (!this.warnings.includes(warning)) this.warnings.push(warning);
    }
  }

  #addLoaded(object: LoadedObject): void {
    const { identity } = object.trace.stat;
    if (this.#identities.has(identity)) return;
    this.#identities.add(identity);
    this.loaded.push(object);
    this.warnings.push(...this.#search.warningsFor(object));
  }

  #isNew(key: string): boolean {
    if (this.#seen.has(key)) return false;
    this.#seen.add(key);
    return true;
  }
}

/** Opens a library in the process of another processor, where the caller may be another object. */
function openIn(mapping: Mapping, name: string, by: LoadedObject): void {
  const soname = by.elf.dynamic?.soname;
  const caller =
    mapping.objects.find(({ trace }) => trace.path === by.trace.path) ??
    mapping.objects.find(({ elf }) => soname !== undefined && elf.dynamic?.soname === soname) ??
    mapping.objects[0];
  if (caller === undefined) return;
  const result = mapping.open(name, caller);
  if (isEdge(result)) mapping.edges.push(result);
}

function edgeKey({ by, name, to }: Edge): string {
  return `edge\0${by.trace.path}\0${name}\0${to.trace.path}`;
}

function missingKey(library: MissingLibrary): string {
  return `missing\0${missingId(library)}`;
}
