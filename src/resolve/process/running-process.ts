import type { Trace } from '../../fs/sysroot.js';
import type { LoadedObject } from '../../loader/loaded-object.js';
import type { Edge, ProcessImage, VariantEdge } from '../../loader/process.js';
import type { NotFound } from '../../loader/search-result.js';
import type { MissingLibrary, Reason, SearchRule } from '../../manifest/manifest.js';
import { atOnce, PACE, type Steps } from '../../manifest/steps.js';
import { FileCollection } from '../file-collection.js';

/** Receives the events of a process's loader. */
export interface ProcessWatcher {
  /** Called once for look-ups that many processes repeat. */
  onLookup(edge: Edge): void;
  onVariant(edge: VariantEdge): void;
  onMissing(library: MissingLibrary): void;
}

/** The last result for a name. */
interface Collected {
  readonly to: Trace;
  readonly rule: SearchRule;
}

/**
 * The look-ups of one loader that a collection already has. Most processes share libraries, which
 * find the same others by the same rules: adding these for each process takes longer than finding
 * them.
 */
export class CollectedEdges {
  /** By the requesting object and the name. */
  readonly #searched = new Map<Trace, Map<string, Collected>>();
  /** The same, if an object of the process already had the name. */
  readonly #loaded = new Map<Trace, Map<string, Collected>>();

  /** Records a look-up; returns false if it equals the last one of its name. */
  add({ by, name, rule, to, lookup }: Edge): boolean {
    const edges = lookup === undefined ? this.#loaded : this.#searched;
    let names = edges.get(by.trace);
    if (names === undefined) {
      names = new Map();
      edges.set(by.trace, names);
    }
    const target = lookup ?? to.trace;
    const known = names.get(name);
    if (known?.to === target && known.rule === rule) return false;
    names.set(name, { to: target, rule });
    return true;
  }
}

/** Where the look-ups of processes go. */
export interface Collecting {
  readonly files: FileCollection;
  /** What processes of the same loader have added to the files. */
  readonly collected: CollectedEdges;
  readonly onLookup: ProcessWatcher['onLookup'];
}

/** Adds a look-up of a needed library, unless it was added before. */
export function collectEdge(edge: Edge, { files, collected, onLookup }: Collecting): void {
  if (!collected.add(edge)) return;
  const { by, name, rule, to, lookup } = edge;
  files.add(lookup ?? to.trace, { kind: 'needed', by: by.trace.path, name, rule });
  onLookup(edge);
}

/** A process whose objects are added to a collection, including those that it opens at run time. */
export class RunningProcess {
  readonly #image: ProcessImage;
  readonly #files: FileCollection;
  readonly #watcher: ProcessWatcher;
  readonly #collecting: Collecting;
  /** By the object that opens them and the name. */
  readonly #opened = new Map<string, Edge>();
  #edges = 0;
  #variants = 0;
  #missing = 0;

  private constructor(
    image: ProcessImage,
    files: FileCollection,
    collected: CollectedEdges,
    watcher: ProcessWatcher,
  ) {
    this.#image = image;
    this.#files = files;
    this.#collecting = { files, collected, onLookup: (edge) => watcher.onLookup(edge) };
    this.#watcher = watcher;
  }

  /**
   * Adds the objects of a process, with steps for the look-ups.
   *
   * @param collected the look-ups that processes of the same loader have added
   */
  static *inSteps(
    image: ProcessImage,
    files: FileCollection,
    collected: CollectedEdges,
    watcher: ProcessWatcher,
  ): Steps<RunningProcess> {
    const process = new RunningProcess(image, files, collected, watcher);
    yield* process.#collect();
    return process;
  }

  /** All objects so far, in loading order; {@link open} adds to them. */
  get loaded(): readonly LoadedObject[] {
    return this.#image.loaded;
  }

  /** Returns the library whose soname matches. */
  find(soname: RegExp): LoadedObject | undefined {
    return this.loaded.find(({ elf }) => soname.test(elf.dynamic?.soname ?? ''));
  }

  /** Returns whether a library was found, opened as by {@link open}. */
  opens(name: string, by: LoadedObject, reason: (edge: Edge) => Reason): boolean {
    return this.open(name, by, reason) === undefined;
  }

  /**
   * Opens a library as dlopen(3) does, and adds it with its dependencies.
   *
   * @param by the object that opens it: its search path is used
   * @returns undefined if it was found
   */
  open(name: string, by: LoadedObject, reason: (edge: Edge) => Reason): NotFound | undefined {
    const key = `${by.trace.path}\0${name}`;
    const result = this.#opened.get(key) ?? this.#image.open(name, by);
    if (!('to' in result)) return result;
    // An object that the process already has stays the result.
    if (result.lookup === undefined) this.#opened.set(key, result);
    this.#files.add(result.lookup ?? result.to.trace, reason(result));
    this.#watcher.onLookup(result);
    atOnce(this.#collect());
    return undefined;
  }

  /** Adds what the loader has found since the last call. */
  *#collect(): Steps<void> {
    const { edges, variants, missing } = this.#image;
    for (; this.#edges < edges.length; this.#edges++) {
      const edge = edges[this.#edges];
      if (edge !== undefined) collectEdge(edge, this.#collecting);
      if (this.#edges % PACE === 0) yield;
    }
    for (const edge of variants.slice(this.#variants)) {
      const { of, variant } = edge;
      this.#files.add(variant.trace, {
        kind: 'hwcaps',
        of: FileCollection.nameOf(of.trace),
        level: variant.level,
      });
      this.#watcher.onVariant(edge);
    }
    for (const library of missing.slice(this.#missing)) this.#watcher.onMissing(library);
    this.#variants = variants.length;
    this.#missing = missing.length;
  }
}
