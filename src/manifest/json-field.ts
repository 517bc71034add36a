import { JailbuildError } from '../errors.js';

/** NAME_MAX, and the maximum length of a path for system calls (limits.h), in bytes. */
const MAX_NAME = 255;
const MAX_PATH = 4095;

/** @throws JailbuildError MANIFEST_INVALID if the text is not JSON */
export function parseJson(text: string, name: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw invalid(name, `is not JSON: ${error instanceof Error ? error.message : error}`);
  }
}

/** The document that fields belong to, and the error code for invalid ones. */
export interface Document {
  readonly name: string;
  readonly code: 'MANIFEST_INVALID' | 'USAGE';
}

/** A value of a parsed JSON document, with its position for messages. */
export class Field {
  readonly value: unknown;
  readonly #document: Document;
  /** Its parent, and its name or index in it; formatted only for messages. */
  readonly #parent: Field | undefined;
  readonly #key: string | number;

  /** @param document the document, or its name if it is a manifest */
  constructor(
    value: unknown,
    document: Document | string,
    parent?: Field,
    key: string | number = '',
  ) {
    this.value = value;
    this.#document =
      typeof document === 'string' ? { name: document, code: 'MANIFEST_INVALID' } : document;
    this.#parent = parent;
    this.#key = key;
  }

  refuse(what: string): never {
    const place = this.#place();
    const { name, code } = this.#document;
    const message = `${name}: ${place === '' ? what : `${place}: ${what}`}`;
    throw new JailbuildError(code, message, code === 'USAGE' ? undefined : name);
  }

  /**
   * Returns the position in the document, such as `entries[3].mode`; '' for the document itself.
   */
  #place(): string {
    const above = this.#parent === undefined ? '' : this.#parent.#place();
    if (typeof this.#key === 'number') return `${above}[${this.#key}]`;
    return above === '' ? this.#key : `${above}.${this.#key}`;
  }

  object(): this {
    const { value } = this;
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      this.refuse(value === undefined ? 'is missing' : 'is not an object');
    }
    return this;
  }

  names(): string[] {
    return Object.keys(this.value as object);
  }

  has(name: string): boolean {
    return Object.hasOwn(this.value as object, name);
  }

  member(name: string): Field {
    const value = this.has(name) ? (this.value as Record<string, unknown>)[name] : undefined;
    return new Field(value, this.#document, this, name);
  }

  /** Returns an object with the member if present, for spreading into another object. */
  optional<K extends string, T>(name: K, take: (field: Field) => T): { readonly [P in K]?: T } {
    return this.has(name) ? ({ [name]: take(this.member(name)) } as { [P in K]?: T }) : {};
  }

  only(names: readonly string[]): void {
    const other = this.names().find((name) => !names.includes(name));
    if (other !== undefined) this.member(other).refuse('is not a field of this format');
  }

  items(): Field[] {
    const { value } = this;
    if (!Array.isArray(value)) {
      return this.refuse(value === undefined ? 'is missing' : 'is not a list');
    }
    return value.map((item, index) => new Field(item, this.#document, this, index));
  }

  boolean(): boolean {
    const { value } = this;
    return typeof value === 'boolean' ? value : this.refuse('is neither true nor false');
  }

  string(): string {
    const { value } = this;
    if (typeof value !== 'string') {
      return this.refuse(value === undefined ? 'is missing' : 'is not a string');
    }
    return value;
  }

  matching(pattern: RegExp, expected: string): string {
    const text = this.string();
    if (!pattern.test(text)) this.refuse(`is not ${expected}`);
    return text;
  }

  integer(least: number, most: number): number {
    const { value } = this;
    if (!Number.isSafeInteger(value) || (value as number) < least || (value as number) > most) {
      return this.refuse(value === undefined ? 'is missing' : `is not a number up to ${most}`);
    }
    return value as number;
  }

  linkText(): string {
    const text = this.string();
    if (text === '' || text.includes('\0')) this.refuse('is not a valid link target');
    return text;
  }

  /**
   * Returns an absolute path without `.`, `..`, empty names or a trailing slash; refuses `/`
   * itself.
   */
  path(): string {
    const text = this.string();
    if (!text.startsWith('/')) this.refuse(`${JSON.stringify(text)} is not an absolute path`);
    if (text.includes('\0')) this.refuse('has a zero byte');
    // A UTF-16 unit has at most three bytes in UTF-8.
    const mayBeLong = text.length * 3 > MAX_NAME;
    if (mayBeLong && byteLength(text) > MAX_PATH) this.refuse(`is longer than ${MAX_PATH} bytes`);
    for (const name of text.slice(1).split('/')) {
      if (name === '' || name === '.' || name === '..') {
        this.refuse(`${JSON.stringify(text)} contains the name "${name}"`);
      }
      if (mayBeLong && byteLength(name) > MAX_NAME) {
        this.refuse(`has a name longer than ${MAX_NAME} bytes`);
      }
    }
    return text;
  }
}

/** Returns the length of a path in bytes; a lone surrogate stands for one byte. */
function byteLength(path: string): number {
  return Buffer.byteLength(path.replace(/[\udc80-\udcff]/gu, '?'));
}

export function invalid(document: string, what: string): JailbuildError {
  return new JailbuildError('MANIFEST_INVALID', `${document}: ${what}`, document);
}
