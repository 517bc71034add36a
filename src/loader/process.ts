import type { ElfFile } from '../elf/types.js';
import type { MissingLibrary, SearchRule } from '../plan/manifest.js';
import type { Trace } from '../sysroot/sysroot.js';
import type { LoadedObject } from './loaded-object.js';
import { isFound, type LibrarySearch, type NotFound, type Variant } from './search.js';

/** One name in one object's list of needed libraries, and what it leads to. */
export interface Edge {
  readonly by: LoadedObject;
  readonly name: string;
  readonly rule: SearchRule;
  readonly to: LoadedObject;
  /** The path that this request looks up; undefined where an object already loaded answers it. */
  readonly lookup: Trace | undefined;
  /** That path in the loader's own spelling. */
  readonly path: string | undefined;
}

export interface VariantEdge {
  /** The baseline that it stands in for. */
  readonly of: LoadedObject;
  readonly variant: Variant;
}

/** What a process of one program has mapped when the loader hands over to the program. */
export interface ProcessImage {
  /** Every object, in the order in which they came. */
  readonly loaded: readonly LoadedObject[];
  readonly edges: readonly Edge[];
  readonly variants: readonly VariantEdge[];
  readonly missing: readonly MissingLibrary[];
  /**
   * What dlopen(3) of `name`, called by the object `by`, does: the object that it leads to, and
   * behind `loaded`, `edges`, `variants` and `missing` what that one brings along.
   */
  open(name: string, by: LoadedObject): Edge | NotFound;
}

/**
 * Does what the loader does before it starts a program: breadth first over DT_NEEDED, an object
 * already loaded answering for its name, its DT_SONAME or the same file (glibc elf/dl-deps.c,
 * elf/dl-load.c; musl ldso/dynlink.c).
 *
 * @param interpreter the loader itself, which stands in for its soname; undefined for a library alone
 * @throws JailbuildError for an object in the way that is not well-formed
 */
export function mapProcess(
  program: LoadedObject,
  interpreter: LoadedObject | undefined,
  search: LibrarySearch,
): ProcessImage {
  const loaded: LoadedObject[] = interpreter === undefined ? [program] : [program, interpreter];
  const byName = new Map<string, LoadedObject>();
  const bySoname = new Map<string, LoadedObject>();
  const byIdentity = new Map<string, LoadedObject>();
  const edges: Edge[] = [];
  const variants: VariantEdge[] = [];
  const missing: MissingLibrary[] = [];

  const register = (object: LoadedObject) => {
    byIdentity.set(object.trace.stat.identity, object);
    byName.set(object.name, object);
    const soname = object.elf.dynamic?.soname;
    if (soname !== undefined && !bySoname.has(soname)) bySoname.set(soname, object);
  };
  for (const object of loaded) register(object);

  const map = (by: LoadedObject, name: string): Edge | NotFound => {
    const known =
      byName.get(name) ?? bySoname.get(name) ?? (search.isOwnName(name) ? interpreter : undefined);
    if (known !== undefined) {
      const again = known.requestedAs.has(name);
      return {
        by,
        name,
        rule: again ? known.rule : 'loaded',
        to: known,
        lookup: undefined,
        path: undefined,
      };
    }
    const found = search.find(name, by);
    if (!isFound(found)) return found;
    const same = byIdentity.get(found.trace.stat.identity);
    if (same !== undefined) {
      same.requestedAs.add(name);
      byName.set(name, same);
      return { by, name, rule: found.rule, to: same, lookup: found.trace, path: found.name };
    }
    const object = loadedObject(found.name, found.trace, found.elf, by, found.rule);
    object.requestedAs.add(name);
    register(object);
    byName.set(name, object);
    loaded.push(object);
    for (const variant of found.variants) {
      variants.push({ of: object, variant });
      // What the variant needs is loaded on the CPUs that take it.
      loaded.push(loadedObject(variant.name, variant.trace, variant.elf, by, found.rule));
    }
    return { by, name, rule: found.rule, to: object, lookup: found.trace, path: found.name };
  };

  const request = (by: LoadedObject, name: string, optional: boolean) => {
    const result = map(by, name);
    if ('to' in result) edges.push(result);
    else if (!optional) missing.push({ name, neededBy: by.trace.path, ...result });
  };

  let walked = 0;
  const walk = () => {
    for (; walked < loaded.length; walked++) {
      const object = loaded[walked];
      const dynamic = object?.elf.dynamic;
      if (object === undefined || dynamic === undefined) continue;
      for (const name of dynamic.auxiliaries) request(object, name, true);
      for (const name of dynamic.filters) request(object, name, false);
      for (const name of dynamic.needed) request(object, name, false);
      for (const name of dynamic.audits) request(object, name, true);
    }
  };
  walk();

  const open = (name: string, by: LoadedObject) => {
    const result = map(by, name);
    walk();
    return result;
  };
  return { loaded, edges, variants, missing, open };
}

/** An object opened by `name`, which is the loader's own spelling of the path. */
export function loadedObject(
  name: string,
  trace: Trace,
  elf: ElfFile,
  loadedBy: LoadedObject | undefined,
  rule: SearchRule,
): LoadedObject {
  // The program's origin comes from /proc/self/exe, without links; a library's from its name.
  const opened = loadedBy === undefined ? trace.path : name;
  const cut = opened.lastIndexOf('/');
  const origin = cut <= 0 ? '/' : opened.slice(0, cut);
  return { name, trace, elf, origin, loadedBy, rule, requestedAs: new Set() };
}
