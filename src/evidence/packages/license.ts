import parseExpression from 'spdx-expression-parse';

/** SPDX names by the names that other lists use, in lower case. */
const SPDX_NAME: Readonly<Record<string, string>> = {
  apache: 'Apache-2.0',
  'asl 2.0': 'Apache-2.0',
  'bsd-2': 'BSD-2-Clause',
  'bsd-2-clause': 'BSD-2-Clause',
  'bsd-3': 'BSD-3-Clause',
  'bsd-3-clause': 'BSD-3-Clause',
  'bsd-4-clause': 'BSD-4-Clause',
  boost: 'BSL-1.0',
  expat: 'MIT',
  gfdl: 'GFDL-1.1-or-later',
  isc: 'ISC',
  'mit/x11': 'MIT',
  zlib: 'Zlib',
};

/** `GPL-2+`, `LGPLv2.1+`, `GPL-3`, `AGPL-3.0+`. */
const GNU = /^(A?GPL|LGPL)(?:-|v| )?(\d)(?:\.(\d))?(\+?)$/i;

/**
 * Returns a package's license as an SPDX license expression. Translates the short names of Debian
 * copyright files ("Machine-readable debian/copyright file", 7.1) and the older ones of Fedora and
 * Alpine; other names become `LicenseRef-` ones.
 */
export function licenseExpression(text: string): string | undefined {
  const words = text.trim().replace(/\s+/g, ' ');
  if (words === '') return undefined;
  if (isExpression(words) && !GNU.test(words)) return words;
  // A comma changes precedence, and exceptions have names of their own.
  const parts = /[,()]| with /i.test(words) ? [words] : words.split(/ (and|or) /i);
  const translated = parts.map((part, index) =>
    index % 2 === 1 ? part.toUpperCase() : licenseName(part),
  );
  return translated.join(' ');
}

/** Returns an expression that requires all of several licenses. */
export function allOf(expressions: readonly string[]): string | undefined {
  const parts = expressions.flatMap((one) => (/ OR |\(/i.test(one) ? [one] : one.split(/ AND /i)));
  const each = [...new Set(parts)].sort();
  if (each.length < 2) return each[0];
  return each.map((one) => (/ OR /i.test(one) ? `(${one})` : one)).join(' AND ');
}

/** Returns the names in an expression that are not SPDX names. */
export function licenseReferences(expression: string): string[] {
  return [...new Set(expression.match(/LicenseRef-[A-Za-z0-9.-]+/g) ?? [])];
}

function licenseName(name: string): string {
  const known = SPDX_NAME[name.toLowerCase()];
  if (known !== undefined) return known;
  const [, family, major, minor = '0', later] = GNU.exec(name) ?? [];
  if (family !== undefined) {
    const id = `${family.toUpperCase()}-${major}.${minor}-${later === '+' ? 'or-later' : 'only'}`;
    if (isExpression(id)) return id;
  }
  if (isExpression(name)) return name;
  return `LicenseRef-${name.replace(/[^A-Za-z0-9.]+/g, '-').replace(/^-+|-+$/g, '') || 'unnamed'}`;
}

function isExpression(text: string): boolean {
  try {
    parseExpression(text);
    return true;
  } catch {
    return false;
  }
}
