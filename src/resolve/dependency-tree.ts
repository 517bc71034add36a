import type { MissingLibrary, MissingVersion, Reason } from '../manifest/manifest.js';
import { reasonSource } from '../manifest/reason-source.js';
import { baseName } from '../text/base-name.js';
import type { CollectedFile } from './file-collection.js';
import type { Closure } from './resolve.js';
import { isShebang, parseShebang, SCRIPT_START } from './scripts/shebang.js';

/**
 * The maximum depth of the tree. Real trees have a few dozen levels; printing needs stack and an
 * indent for each.
 */
const MAX_DEPTH = 500;

/** A program, or a dependency of it. */
export interface DependencyNode {
  /** The name by which it is needed; for a program, as requested; for an interpreter, its path. */
  readonly name: string;
  /**
   * The path that is looked up, and the file after following its links. Absent if it is missing.
   */
  readonly path?: string;
  readonly file?: string;
  /** The file's size in bytes. */
  readonly size?: number;
  /**
   * The size in bytes of the file and all its direct and indirect dependencies, each file counted
   * once.
   */
  readonly total?: number;
  /**
   * How it is found: a rule of the loader, or the kind of reason. Absent for requested programs.
   */
  readonly by?: string;
  /** True if its dependencies are listed elsewhere in the tree, or would be too deep. */
  readonly folded?: true;
  readonly needs: readonly DependencyNode[];
  /** The places searched for a missing library, in order. */
  readonly searched?: MissingLibrary['searched'];
  /** The symbol version that the library lacks. */
  readonly version?: MissingVersion;
}

interface Edge {
  readonly name: string;
  readonly by: string;
  readonly entry: CollectedFile;
}

/** A node under construction. */
type Growing = { -readonly [K in keyof DependencyNode]: DependencyNode[K] } & {
  needs: Growing[];
};

/**
 * Returns the programs of a closure with the dependencies of each object and how they are found.
 * The dependencies of a shared file are listed once, at its highest place.
 *
 * @param options `totals`: compute the total size of each node; true by default
 */
export function dependencyTree(
  closure: Closure,
  { totals = true }: { readonly totals?: boolean } = {},
): DependencyNode[] {
  const graph = new Graph(closure, totals);
  const roots = graph.roots().map((edge) => graph.node(edge));
  const expanded = new Set<string>();
  // Breadth first, so that dependencies are listed as high as possible.
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

/** Returns the size of the files of several trees in bytes, each file counted once. */
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
  /** The target of each symbolic link. */
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

  /** Returns the requested programs. */
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

  /**
   * Returns how a reason makes one object depend on another; undefined for other kinds of reasons.
   */
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
        return { name: baseName(path), by: reason.level };
      default:
        return undefined;
    }
  }

  /** Returns PT_INTERP of a program. */
  #interpreterOf(program: string): string | undefined {
    const entry = this.#files.get(program);
    return entry && this.#closure.read(entry.stat.identity).elf?.interpreter;
  }

  /** Returns the interpreter that the first line of a script names. */
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
