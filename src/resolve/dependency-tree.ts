import type { MissingLibrary, MissingVersion, Reason } from '../manifest/manifest.js';
import { reasonSource } from '../manifest/reason-source.js';
import type { CollectedFile } from './file-collection.js';
import type { Closure } from './resolve.js';
import { isShebang, parseShebang, SCRIPT_START } from './scripts/shebang.js';

/** Real trees have a few dozen levels. Printing takes the stack, and an indent for each level. */
const MAX_DEPTH = 500;

/** A program, or what an object of it needs. */
export interface DependencyNode {
  /** The name by which it is needed; of a program, as it was asked for; of an interpreter, its path. */
  readonly name: string;
  /** Where it is: the path that is looked up, and the file behind its links. Absent if it is missing. */
  readonly path?: string;
  readonly file?: string;
  /** Bytes of the file. */
  readonly size?: number;
  /** Bytes of the file and of all that it needs, directly or not, each file counted once. */
  readonly total?: number;
  /** How it is found: a rule of the loader, or the kind of reason. Absent for what was asked for. */
  readonly by?: string;
  /** True where its own needs are listed at another place of the tree, or would lie too deep in it. */
  readonly folded?: true;
  readonly needs: readonly DependencyNode[];
  /** Each place that was searched for a missing library, in order. */
  readonly searched?: MissingLibrary['searched'];
  /** The symbol version that the library of this name lacks. */
  readonly version?: MissingVersion;
}

interface Edge {
  readonly name: string;
  readonly by: string;
  readonly entry: CollectedFile;
}

/** A node while the tree grows. */
type Growing = { -readonly [K in keyof DependencyNode]: DependencyNode[K] } & {
  needs: Growing[];
};

/**
 * The programs of a closure with what each object needs, and how it is found. What several need has
 * its own needs at one place only: the highest.
 *
 * @param options `totals`: add up what each node needs, true by default
 */
export function dependencyTree(
  closure: Closure,
  { totals = true }: { readonly totals?: boolean } = {},
): DependencyNode[] {
  const graph = new Graph(closure, totals);
  const roots = graph.roots().map((edge) => graph.node(edge));
  const expanded = new Set<string>();
  // Breadth first, so that needs are listed as high in the tree as they occur.
  let level = roots;
  for (let depth = 0; level.length > 0; depth += 1) {
    for (const node of level) {
      if (node.file === undefined) continue;
      if (expanded.has(node.file) || depth === MAX_DEPTH) {
        if (graph.hasNeeds(node.file)) node.folded = true;
        continue;
      }
      expanded.add(node.file);
      node.needs.push(...graph.needsOf(node.file));
    }
    level = level.flatMap(({ needs }) => needs);
  }
  return roots;
}

/** Bytes of the files of several trees, each counted once. */
export function totalOf(roots: readonly DependencyNode[]): number {
  const sizes = new Map<string, number>();
  const nodes = [...roots];
  for (const { file, size = 0, needs } of nodes) {
    if (file !== undefined) sizes.set(file, size);
    nodes.push(...needs);
  }
  return [...sizes.values()].reduce((sum, size) => sum + size, 0);
}

class Graph {
  readonly #closure: Closure;
  readonly #hasTotals: boolean;
  readonly #files: ReadonlyMap<string, CollectedFile>;
  readonly #totals = new Map<string, number>();
  readonly #edges = new Map<string, Edge[]>();
  readonly #missing = new Map<string, MissingLibrary[]>();
  /** The entry behind each symbolic link. */
  readonly #behind = new Map<string, string>();
  readonly #requested: Edge[] = [];

  constructor(closure: Closure, hasTotals: boolean) {
    const { files, missing } = closure;
    this.#closure = closure;
    this.#hasTotals = hasTotals;
    this.#files = new Map(files.map((entry) => [entry.path, entry]));
    for (const entry of [...files].sort((a, b) => a.order - b.order)) {
      for (const reason of entry.reasons) this.#add(entry, reason);
    }
    for (const library of missing) {
      const list = this.#missing.get(library.neededBy) ?? [];
      this.#missing.set(library.neededBy, [...list, library]);
    }
  }

  /** What was asked for. */
  roots(): readonly Edge[] {
    return this.#requested;
  }

  node({ name, by, entry }: Edge): Growing {
    const file = this.#fileOf(entry.path);
    const total = this.#hasTotals ? { total: this.#totalOf(file) } : {};
    const sizes = { size: this.#sizeOf(file), ...total };
    return { name, path: entry.path, file, ...sizes, ...(by === '' ? {} : { by }), needs: [] };
  }

  #fileOf(path: string): string {
    let file = path;
    for (let next = this.#behind.get(file); next !== undefined; next = this.#behind.get(file)) {
      file = next;
    }
    return file;
  }

  #sizeOf(file: string): number {
    return this.#files.get(file)?.stat.size ?? 0;
  }

  #totalOf(file: string): number {
    const known = this.#totals.get(file);
    if (known !== undefined) return known;
    const reached = new Set([file]);
    let total = 0;
    for (const at of reached) {
      total += this.#sizeOf(at);
      for (const { entry } of this.#edges.get(at) ?? []) reached.add(this.#fileOf(entry.path));
    }
    this.#totals.set(file, total);
    return total;
  }

  hasNeeds(file: string): boolean {
    return this.#edges.has(file) || this.#missing.has(file);
  }

  needsOf(file: string): Growing[] {
    const found = (this.#edges.get(file) ?? []).map((edge) => this.node(edge));
    const missing = (this.#missing.get(file) ?? []).map(({ name, searched, version }) => ({
      name,
      ...(version === undefined ? { searched } : { version }),
      needs: [],
    }));
    return [...found, ...missing];
  }

  #add(entry: CollectedFile, reason: Reason): void {
    if (reason.kind === 'link-target') this.#behind.set(reason.of, entry.path);
    if (reason.kind === 'requested') this.#requested.push({ name: reason.as, by: '', entry });
    const edge = this.#edgeOf(entry, reason);
    const source = reasonSource(reason);
    if (edge === undefined || source === undefined) return;
    const list = this.#edges.get(source);
    if (list === undefined) this.#edges.set(source, [{ ...edge, entry }]);
    else list.push({ ...edge, entry });
  }

  /** How a reason makes one object need another; undefined for reasons of other kinds. */
  #edgeOf({ path }: CollectedFile, reason: Reason): Omit<Edge, 'entry'> | undefined {
    switch (reason.kind) {
      case 'needed':
        return { name: reason.name, by: reason.rule };
      case 'interpreter':
        return { name: this.#interpreterOf(reason.of) ?? path, by: reason.kind };
      case 'shebang':
        return { name: this.#shebangOf(reason.of) ?? path, by: reason.kind };
      case 'env':
        return { name: reason.name, by: 'env' };
      case 'dlopen':
        return { name: reason.name, by: `dlopen, ${reason.rule}` };
      case 'nss-module':
        return {
          name: `libnss_${reason.service}.so.2`,
          by: `nss ${reason.databases}, ${reason.rule}`,
        };
      case 'hwcaps':
        return { name: path.slice(path.lastIndexOf('/') + 1), by: reason.level };
      default:
        return undefined;
    }
  }

  /** PT_INTERP of a program. */
  #interpreterOf(program: string): string | undefined {
    const entry = this.#files.get(program);
    return entry && this.#closure.read(entry.stat.identity).elf?.interpreter;
  }

  /** The interpreter that the first line of a script names. */
  #shebangOf(script: string): string | undefined {
    const reader = this.#closure.sysroot.openAt(script);
    try {
      const shebang = parseShebang(reader.read(0, Math.min(reader.size, SCRIPT_START)));
      return isShebang(shebang) ? shebang.interpreter : undefined;
    } finally {
      reader.close();
    }
  }
}
