import type { Trace } from '../../fs/sysroot.js';
import type { LoadedObject } from '../../loader/loaded-object.js';
import type { Edge, ProcessImage, VariantEdge } from '../../loader/process.js';
import type { NotFound } from '../../loader/search-result.js';
import type { MissingLibrary, Reason, SearchRule } from '../../manifest/manifest.js';
import { FileCollection } from '../file-collection.js';

/** Is told of what the loader of a process does. */
export interface ProcessWatcher {
  /** Called once for look-ups that many processes make in the same way. */
  onLookup(edge: Edge): void;
  onVariant(edge: VariantEdge): void;
  onMissing(library: MissingLibrary): void;
}

/** Where a name led the last time. */
interface Collected {
  readonly to: Trace;
  readonly rule: SearchRule;
}

/**
 * The look-ups of one loader that are in a collection. Most processes share libraries, which find the same
 * ones by the same rules: to add these anew for each process takes longer than finding them.
 */
export class CollectedEdges {
  /** By the object that needs, and the name. */
  readonly #searched = new Map<Trace, Map<string, Collected>>();
  /** The same where an object of the process had the name. */
  readonly #loaded = new Map<Trace, Map<string, Collected>>();

  /** Notes a look-up; returns false if it was the last one of its name as well. */
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

/** A process whose objects go into a collection, those too that it opens while it runs. */
export class RunningProcess {
  readonly #image: ProcessImage;
  readonly #files: FileCollection;
  readonly #watcher: ProcessWatcher;
  readonly #collecting: Collecting;
  /** By the object that opens them, and the name. */
  readonly #opened = new Map<string, Edge>();
  #edges = 0;
  #variants = 0;
  #missing = 0;

  /** @param collected what processes of the same loader have added to the files */
  constructor(
    image: ProcessImage,
    files: FileCollection,
    collected: CollectedEdges,
    watcher: ProcessWatcher,
  ) {
    this.#image = image;
    this.#files = files;
    this.#collecting = { files, collected, onLookup: (edge) => watcher.onLookup(edge) };
    this.#watcher = watcher;
    this.#collect();
  }

  /** Every object so far, in the order in which they came; grows with {@link open}. */
  get loaded(): readonly LoadedObject[] {
    return this.#image.loaded;
  }

  /** The library whose soname matches. */
  find(soname: RegExp): LoadedObject | undefined {
    return this.loaded.find(({ elf }) => soname.test(elf.dynamic?.soname ?? ''));
  }

  /** True if a library, opened as {@link open} does, is there. */
  opens(name: string, by: LoadedObject, reason: (edge: Edge) => Reason): boolean {
    return this.open(name, by, reason) === undefined;
  }

  /**
   * Opens a library as dlopen(3) does, and adds it with what it needs.
   *
   * @param by the object that opens it: by its paths it is looked for
   * @returns undefined if it was found
   */
  open(name: string, by: LoadedObject, reason: (edge: Edge) => Reason): NotFound | undefined {
    const key = `${by.trace.path}\0${name}`;
    const result = this.#opened.get(key) ?? this.#image.open(name, by);
    if (!('to' in result)) return result;
    // An object that the process has is no news, and will not be either.
    if (result.lookup === undefined) this.#opened.set(key, result);
    this.#files.add(result.lookup ?? result.to.trace, reason(result));
    this.#watcher.onLookup(result);
    this.#collect();
    return undefined;
  }

  /** Adds what the loader has found since the last time. */
  #collect(): void {
    const { edges, variants, missing } = this.#image;
    for (; this.#edges < edges.length; this.#edges++) {
      const edge = edges[this.#edges];
      if (edge !== undefined) collectEdge(edge, this.#collecting);
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
