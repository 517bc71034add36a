/** The range in bytes of a package's paragraph in the status file. */
export interface StanzaPlace {
  readonly start: number;
  readonly end: number;
}

/** The table as text, as it is stored: lines of words, with newlines before and after each. */
export interface StatusTableText {
  /** `NAME START END` for each paragraph, in the order of the file. */
  readonly packages: string;
  /** `CAPABILITY NAME` for each capability that a package provides. */
  readonly provides: string;
  /** `NAME` for each essential package. */
  readonly essentials: string;
}

/**
 * The offsets of packages' paragraphs in dpkg's status file, so that only requested ones are
 * parsed. States are ignored: the table includes removed packages.
 */
export class StatusTable {
  readonly text: StatusTableText;
  #packages: ReadonlyMap<string, readonly string[]> | undefined;
  #provides: ReadonlyMap<string, readonly string[]> | undefined;

  constructor(text: StatusTableText) {
    this.text = text;
  }

  /**
   * Builds the table of a status file.
   *
   * @param capabilitiesOf parses the value of a `Provides` field
   */
  static of(status: Buffer, capabilitiesOf: (field: string) => readonly string[]): StatusTable {
    // Searching a string of single-byte characters is faster than searching bytes, and gives the
    // same offsets.
    const text = `\n${status.toString('latin1')}`;
    const packages: string[] = [];
    const provides: string[] = [];
    const essentials: string[] = [];
    for (const { at, value: name } of fields(text, 'Package')) {
      const close = text.indexOf('\n\n', at);
      packages.push(`${name} ${at} ${(close < 0 ? text.length : close) - 1}`);
    }
    for (const { at, value } of fields(text, 'Essential')) {
      if (value === 'yes') essentials.push(nameBefore(text, at));
    }
    for (const { at, value } of fields(text, 'Provides')) {
      const name = nameBefore(text, at);
      for (const capability of capabilitiesOf(value)) provides.push(`${capability} ${name}`);
    }
    return new StatusTable({
      packages: lines(packages),
      provides: lines(provides),
      essentials: lines(essentials),
    });
  }

  /** Returns the name of each paragraph. */
  names(): string[] {
    return this.text.packages
      .split('\n')
      .flatMap((line) => (line === '' ? [] : line.slice(0, line.indexOf(' '))));
  }

  /** Returns the names of essential packages. */
  essentials(): string[] {
    return this.text.essentials.split('\n').filter((name) => name !== '');
  }

  /** Returns the ranges of a package's paragraphs, one for each architecture. */
  placesOf(name: string): StanzaPlace[] {
    this.#packages ??= valuesByWord(this.text.packages);
    return (this.#packages.get(name) ?? []).map((value) => {
      const [start = 0, end = 0] = value.split(' ').map(Number);
      return { start, end };
    });
  }

  /** Returns the names of packages that declare a capability. */
  providersOf(capability: string): readonly string[] {
    this.#provides ??= valuesByWord(this.text.provides);
    return this.#provides.get(capability) ?? [];
  }
}

/** Returns the text that follows each word at the beginning of lines: most requests ask for many. */
function valuesByWord(text: string): Map<string, string[]> {
  const values = new Map<string, string[]>();
  for (const line of text.split('\n')) {
    const cut = line.indexOf(' ');
    if (cut <= 0) continue;
    const [word, value] = [line.slice(0, cut), line.slice(cut + 1)];
    const known = values.get(word);
    if (known === undefined) values.set(word, [value]);
    else known.push(value);
  }
  return values;
}

function lines(items: readonly string[]): string {
  return items.length === 0 ? '\n' : `\n${items.join('\n')}\n`;
}

/**
 * Finds the lines of a field; `at` is the line's offset in the file. The text has one extra character
 * at its start.
 */
function* fields(
  text: string,
  name: string,
): Generator<{ readonly at: number; readonly value: string }> {
  const head = `\n${name}: `;
  for (let at = text.indexOf(head); at >= 0; at = text.indexOf(head, at + 1)) {
    const end = text.indexOf('\n', at + head.length);
    yield { at, value: text.slice(at + head.length, end < 0 ? text.length : end).trim() };
  }
}

/** Returns the name of the package whose paragraph contains a line. */
function nameBefore(text: string, at: number): string {
  const start = text.lastIndexOf('\nPackage: ', at) + '\nPackage: '.length;
  return text.slice(start, text.indexOf('\n', start)).trim();
}
