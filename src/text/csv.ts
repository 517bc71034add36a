/** Splits comma-separated values, of which those with commas are in double quotes (RFC 4180). */
export function csvFields(text: string): string[] {
  const fields: string[] = [];
  const field = /("(?:[^"]|"")*"|[^,]*)(,|$)/y;
  for (;;) {
    const [, value = '', end] = field.exec(text) ?? [];
    fields.push(value.startsWith('"') ? value.slice(1, -1).replaceAll('""', '"') : value);
    if (end !== ',') return fields;
  }
}

/** Joins values so that `csvFields` returns them. */
export function csvText(fields: readonly string[]): string {
  return fields
    .map((field) => (/[",]/.test(field) ? `"${field.replaceAll('"', '""')}"` : field))
    .join(',');
}
