/** A paragraph of `Field: value` lines. */
export type Stanza = ReadonlyMap<string, string>;

/**
 * Parses control data: paragraphs of fields, with continuation lines (deb822(5)). Field names are
 * in lower case. The lines of a value are joined by newlines.
 */
export function* stanzas(text: string): Generator<Stanza> {
  for (const paragraph of text.split(/\n(?:[ \t]*\n)+/)) {
    const fields = new Map<string, string>();
    let last = '';
    for (const line of paragraph.split('\n')) {
      if (line.startsWith('#')) continue;
      if (/^[ \t]/.test(line)) {
        fields.set(last, `${fields.get(last) ?? ''}\n${line.trim()}`);
        continue;
      }
      const colon = line.indexOf(':');
      if (colon <= 0) continue;
      last = line.slice(0, colon).toLowerCase();
      fields.set(last, line.slice(colon + 1).trim());
    }
    if (fields.size > 0) yield fields;
  }
}
