import { JailbuildError } from '../errors.js';
import type { ByteReader } from './byte-reader.js';
import { readTar, type TarHeader } from './tar-reader.js';

/** The content of a regular file, shared by its hard links. */
export interface Content {
  readonly size: number;
  /** Number under which the content is stored. */
  readonly stored: number;
  names: number;
}

export interface ImageNode {
  readonly header: Omit<TarHeader, 'name' | 'size' | 'linkname'>;
  /** Number of the layer it comes from. */
  readonly layer: number;
  /** Target of a symbolic link. */
  readonly target?: string;
  readonly content?: Content;
  /** Entries of a directory. */
  readonly children?: Map<string, ImageNode>;
}

type Directory = ImageNode & { readonly children: Map<string, ImageNode> };

/** Stores file content until all layers are applied and it is known which files remain. */
export interface ContentStore {
  put(content: AsyncGenerator<Buffer>): Promise<number>;
  drop(stored: number): void;
}

export interface LayerOptions {
  /**
   * True for image layers, whose whiteouts hide lower entries and in which a directory replaces a link. False for
   * package archives: existing links to directories stay where an archive has a directory, and existing directories
   * where it has a link, as dpkg does.
   */
  readonly isLayered: boolean;
}

export interface LayerLimits {
  /** Maximum number of members in all layers. */
  readonly entries: number;
  /** Maximum bytes of content in all layers. */
  readonly bytes: number;
}

/** Maximum number of symbolic links followed in one look-up (path_resolution(7)). */
const MAX_LINKS = 40;
/** NAME_MAX and PATH_MAX (limits.h). */
const MAX_NAME = 255;
const MAX_PATH = 4095;
const WHITEOUT = '.wh.';
const OPAQUE = '.wh..wh..opq';

/**
 * Applies layers on top of one another (OCI image spec, layer.md). The tree is kept in memory and only content is
 * stored, so no member can reach anything outside, whatever links are on its path.
 */
export class LayerTree {
  readonly root: Directory = directory(0);
  readonly #store: ContentStore;
  readonly #limits: LayerLimits;
  readonly #isLayered: boolean;
  #layer = 0;
  #entries = 0;
  #bytes = 0;

  constructor(
    store: ContentStore,
    limits: LayerLimits,
    { isLayered }: LayerOptions = { isLayered: true },
  ) {
    this.#store = store;
    this.#limits = limits;
    this.#isLayered = isLayered;
  }

  /**
   * Applies the next layer, an uncompressed archive.
   *
   * @param onMember called with the absolute path of each member except the root
   * @throws JailbuildError IMAGE_INVALID
   */
  async apply(
    reader: ByteReader,
    where: string,
    onMember: (path: string) => void = () => {},
  ): Promise<void> {
    this.#layer++;
    for await (const { header, content } of readTar(reader, where)) {
      const fail = (why: string): never => {
        throw new JailbuildError('IMAGE_INVALID', `${where}: ${header.name}: ${why}`, header.name);
      };
      if (++this.#entries > this.#limits.entries) {
        fail(`exceeds the limit of ${this.#limits.entries} entries`);
      }
      if (header.type === 'file') this.#bytes += header.size;
      if (this.#bytes > this.#limits.bytes) {
        fail(
          `makes the image larger than ${this.#limits.bytes} bytes: raise JAILBUILD_IMAGE_LIMIT`,
        );
      }
      const at = await this.#add(header, content, fail);
      if (at !== '/') onMember(at);
    }
  }

  /**
   * Adds a regular file owned by root, creating missing directories.
   *
   * @throws JailbuildError IMAGE_INVALID
   */
  async put(path: string, text: string): Promise<void> {
    const bytes = Buffer.from(text);
    const header = { ...ROOT_OWNED, name: path, type: 'file', mode: 0o644 } as const;
    const content = async function* () {
      yield bytes;
    };
    await this.#add({ ...header, size: bytes.length, linkname: '' }, content, failAt(path));
  }

  /** Adds a symbolic link to the root directory. */
  link(name: string, target: string): void {
    const header = { ...ROOT_OWNED, type: 'symlink', mode: 0o777 } as const;
    this.root.children.set(name, { header, layer: this.#layer, target });
  }

  /** Removes a dangling symbolic link from the root directory. */
  unlinkDangling(name: string): void {
    const node = this.root.children.get(name);
    if (node?.target === undefined || this.#find([name], failAt(`/${name}`)) !== undefined) return;
    this.root.children.delete(name);
  }

  async #add(
    header: TarHeader,
    content: () => AsyncGenerator<Buffer>,
    fail: (why: string) => never,
  ): Promise<string> {
    const names = namesOf(header.name, fail);
    const at = `/${names.join('/')}`;
    const name = names.pop();
    if (name === undefined) {
      if (header.type === 'directory') this.#merge(this.root, header);
      return at;
    }
    const parent = this.#directoryAt(names, fail);
    if (this.#isLayered && name.startsWith(WHITEOUT)) {
      this.#applyWhiteout(parent, name, fail);
      return at;
    }
    const before = parent.children.get(name);
    if (!this.#isLayered && before !== undefined) {
      if (header.type === 'symlink' && isDirectory(before)) return at;
      if (header.type === 'directory' && before.target !== undefined) {
        // The target may follow later, as for the links of merged /usr.
        this.#directoryAt([...names, name], fail);
        return at;
      }
    }
    if (header.type === 'directory' && before !== undefined && isDirectory(before)) {
      parent.children.set(name, this.#merge(before, header));
      return at;
    }
    const made = await this.#nodeOf(header, content, fail);
    if (before !== undefined) this.#drop(before);
    parent.children.set(name, made);
    return at;
  }

  #applyWhiteout(parent: Directory, name: string, fail: (why: string) => never): void {
    if (name === OPAQUE) {
      this.#clear(parent);
      return;
    }
    // Internal files that aufs left behind.
    if (name.startsWith('.wh..wh.')) return;
    const hidden = name.slice(WHITEOUT.length);
    if (hidden === '' || hidden === '.' || hidden === '..') fail('is not a valid whiteout');
    this.#hide(parent, hidden);
  }

  async #nodeOf(
    header: TarHeader,
    content: () => AsyncGenerator<Buffer>,
    fail: (why: string) => never,
  ): Promise<ImageNode> {
    switch (header.type) {
      case 'directory':
        return { header, layer: this.#layer, children: new Map() };
      case 'symlink':
        if (header.linkname === '') fail('is a symbolic link without a target');
        return { header, layer: this.#layer, target: header.linkname };
      case 'file': {
        const stored = await this.#store.put(content());
        return { header, layer: this.#layer, content: { size: header.size, stored, names: 1 } };
      }
      case 'hardlink': {
        const names = namesOf(header.linkname, fail);
        const last = names.pop();
        const original = last && this.#find(names, fail)?.children.get(last);
        if (!original) return fail(`is a hard link to ${header.linkname}, which does not exist`);
        if (original.children !== undefined) fail('is a hard link to a directory');
        if (original.content !== undefined) original.content.names++;
        return { ...original, layer: this.#layer };
      }
      default:
        return { header, layer: this.#layer };
    }
  }

  /** Combines the upper directory's attributes with the entries of both. */
  #merge(below: Directory, header: TarHeader): Directory {
    const merged = { ...below, header, layer: this.#layer };
    if (below === this.root) Object.assign(this.root, { header, layer: this.#layer });
    return merged;
  }

  /** Hides entries of lower layers; entries of the same layer stay, whatever their order. */
  #hide(parent: Directory, name: string): void {
    const node = parent.children.get(name);
    if (node === undefined) return;
    if (isDirectory(node) && (node.layer === this.#layer || this.#holdsOwn(node))) {
      this.#clear(node);
    } else if (node.layer !== this.#layer) {
      this.#drop(node);
      parent.children.delete(name);
    }
  }

  #clear(parent: Directory): void {
    for (const name of [...parent.children.keys()]) this.#hide(parent, name);
  }

  #holdsOwn(node: Directory): boolean {
    return [...node.children.values()].some(
      (child) => child.layer === this.#layer || (isDirectory(child) && this.#holdsOwn(child)),
    );
  }

  #drop(node: ImageNode): void {
    if (node.content !== undefined && --node.content.names === 0) {
      this.#store.drop(node.content.stored);
    }
    for (const child of node.children?.values() ?? []) this.#drop(child);
  }

  /** Returns the directory at a path, following links inside the root and creating what is missing. */
  #directoryAt(names: readonly string[], fail: (why: string) => never): Directory {
    const found = this.#find(names, fail, true);
    return found ?? fail('is below something that is not a directory');
  }

  #find(
    names: readonly string[],
    fail: (why: string) => never,
    isMaking = false,
  ): Directory | undefined {
    const way: Directory[] = [this.root];
    const left = [...names].reverse();
    let links = 0;
    while (left.length > 0) {
      const name = left.pop() as string;
      const here = way.at(-1) as Directory;
      if (name === '' || name === '.') continue;
      if (name === '..') {
        if (way.length > 1) way.pop();
        continue;
      }
      const next = here.children.get(name);
      if (next?.target !== undefined) {
        if (++links > MAX_LINKS) fail('is reached through too many symbolic links');
        if (next.target.startsWith('/')) way.length = 1;
        left.push(...next.target.split('/').reverse());
        if (left.length > MAX_PATH) fail('is reached through symbolic links that are too long');
      } else if (next === undefined) {
        if (!isMaking) return undefined;
        const made = directory(this.#layer);
        here.children.set(name, made);
        way.push(made);
      } else if (isDirectory(next)) {
        way.push(next);
      } else {
        if (!isMaking) return undefined;
        // The layer replaced a directory with a file and then adds names below it: the last one counts.
        const made = directory(this.#layer);
        this.#drop(next);
        here.children.set(name, made);
        way.push(made);
      }
    }
    return way.at(-1);
  }
}

function isDirectory(node: ImageNode): node is Directory {
  return node.children !== undefined;
}

const ROOT_OWNED = { uid: 0, gid: 0, mtime: 0, major: 0, minor: 0, xattrs: {} };

function failAt(path: string): (why: string) => never {
  return (why) => {
    throw new JailbuildError('IMAGE_INVALID', `${path}: ${why}`, path);
  };
}

function directory(layer: number): Directory {
  const header = { ...ROOT_OWNED, type: 'directory', mode: 0o755 } as const;
  return { header, layer, children: new Map() };
}

/** Splits a member's name into components, refusing names that lead out of the root. */
function namesOf(text: string, fail: (why: string) => never): string[] {
  if (Buffer.byteLength(text) > MAX_PATH) fail('has a path that is too long');
  const names = text.split('/').filter((name) => name !== '' && name !== '.');
  if (names.includes('..')) fail('leaves the root through ..');
  if (names.some((name) => Buffer.byteLength(name) > MAX_NAME)) fail('has a name that is too long');
  return names;
}
