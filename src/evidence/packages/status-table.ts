/** Where a package's paragraph is in the status file, in bytes. */
export interface StanzaPlace {
  readonly start: number;
  readonly end: number;
}

/** The table as text, as it is kept: lines of words, each with a line end before and behind. */
export interface StatusTableText {
  /** `NAME START END` of each paragraph, in the order of the file. */
  readonly packages: string;
  /** `CAPABILITY NAME` of each capability that a package provides. */
  readonly provides: string;
  /** `NAME` of each essential package. */
  readonly essentials: string;
}

/**
 * Where the paragraphs of packages are in dpkg's status file, so that only those are parsed that are asked for.
 * States are not looked at: the paragraph of a removed package is in the table as well.
 */
export class StatusTable {
  readonly text: StatusTableText;

  constructor(text: StatusTableText) {
    this.text = text;
  }

  /**
   * Makes the table of a status file.
   *
   * @param capabilitiesOf reads the value of a `Provides` field
   */
  static of(status: Buffer, capabilitiesOf: (field: string) => readonly string[]): StatusTable {
    // Searching a string of one byte a character is faster than searching bytes, and has the same offsets.
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

  /** Returns the places of a package's paragraphs, of which there is one for each architecture. */
  placesOf(name: string): StanzaPlace[] {
    return valuesOf(this.text.packages, name).map((value) => {
      const [start = 0, end = 0] = value.split(' ').map(Number);
      return { start, end };
    });
  }

  /** Returns the names of packages that declare a capability. */
  providersOf(capability: string): string[] {
    return valuesOf(this.text.provides, capability);
  }
}

/** What follows a word at the beginning of lines. */
function valuesOf(text: string, word: string): string[] {
  const head = `\n${word} `;
  const found: string[] = [];
  for (let at = text.indexOf(head); at >= 0; at = text.indexOf(head, at + 1)) {
    const start = at + head.length;
    found.push(text.slice(start, text.indexOf('\n', start)));
  }
  return found;
}

function lines(items: readonly string[]): string {
  return items.length === 0 ? '\n' : `\n${items.join('\n')}\n`;
}

/** Finds the lines of a field; `at` is the offset of the line in the file, for the text has one more. */
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

/** The name of the package in whose paragraph a line is. */
function nameBefore(text: string, at: number): string {
  const start = text.lastIndexOf('\nPackage: ', at) + '\nPackage: '.length;
  return text.slice(start, text.indexOf('\n', start)).trim();
}
