// Usage: node --import tsx src/tooling/docs.ts
// Writes the generated tables of docs/: the text between `<!-- ... -->` and `<!-- end -->`.
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { knownProfiles } from '../profile/load.js';
import { withOptionTables } from './cli-reference.js';

/** Returns the documents with such tables, as they are and as they should be. */
export function generatedDocuments(): readonly { file: string; is: string; toBe: string }[] {
  return [
    ['docs/cli.md', withOptionTables] as const,
    ['docs/profiles.md', withProfiles] as const,
  ].map(([file, write]) => {
    const is = readFileSync(file, 'utf8');
    return { file, is, toBe: formatted(file, write(is)) };
  });
}

/** Returns the document with the table of built-in profiles. */
function withProfiles(markdown: string): string {
  const rows = knownProfiles().map(
    ({ name, include = [], summary }) =>
      `| \`${name}\` | ${include.map((other) => `\`${other}\``).join(', ')} | ${summary}. |`,
  );
  const table = ['| Name | Builds on | For |', '| --- | --- | --- |', ...rows].join('\n');
  const marked = /(?<=<!-- profiles -->\n).*?(?=<!-- end -->)/s;
  if (!marked.test(markdown)) throw new Error('no <!-- profiles -->');
  return markdown.replace(marked, () => `\n${table}\n\n`);
}

/** Formats a document like the rest of the repository, with aligned columns. */
function formatted(file: string, text: string): string {
  const { stdout, status, stderr } = spawnSync(
    'node_modules/.bin/biome',
    ['format', '--stdin-file-path', file],
    { input: text, encoding: 'utf8' },
  );
  if (status !== 0) throw new Error(stderr);
  return stdout;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  process.chdir(path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..'));
  for (const { file, is, toBe } of generatedDocuments()) if (is !== toBe) writeFileSync(file, toBe);
}
