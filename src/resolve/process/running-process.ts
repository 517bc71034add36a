import type { LoadedObject } from '../../loader/loaded-object.js';
import type { Edge, ProcessImage, VariantEdge } from '../../loader/process.js';
import type { NotFound } from '../../loader/search-result.js';
import type { MissingLibrary, Reason } from '../../manifest/manifest.js';
import { FileCollection } from '../file-collection.js';

/** Is told of what the loader of a process does. */
export interface ProcessWatcher {
  onLookup(edge: Edge): void;
  onVariant(edge: VariantEdge): void;
  onMissing(library: MissingLibrary): void;
}

/** A process whose objects go into a collection, those too that it opens while it runs. */
export class RunningProcess {
  readonly #image: ProcessImage;
  readonly #files: FileCollection;
  readonly #watcher: ProcessWatcher;
  #edges = 0;
  #variants = 0;
  #missing = 0;

  constructor(image: ProcessImage, files: FileCollection, watcher: ProcessWatcher) {
    this.#image = image;
    this.#files = files;
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
    const result = this.#image.open(name, by);
    if (!('to' in result)) return result;
    this.#files.add(result.lookup ?? result.to.trace, reason(result));
    this.#watcher.onLookup(result);
    this.#collect();
    return undefined;
  }

  /** Adds what the loader has found since the last time. */
  #collect(): void {
    const { edges, variants, missing } = this.#image;
    for (const edge of edges.slice(this.#edges)) {
      const { by, name, rule, to, lookup } = edge;
      this.#files.add(lookup ?? to.trace, { kind: 'needed', by: by.trace.path, name, rule });
      this.#watcher.onLookup(edge);
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
    this.#edges = edges.length;
    this.#variants = variants.length;
    this.#missing = missing.length;
  }
}
