// Usage: node --import tsx src/tooling/rooms.ts
// Writes src/tooling/rooms.json, which .biome.jsonc extends: the table below as rules of Biome.
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/**
 * The rooms of src from the ground up, and what each may import besides itself and errors.ts.
 * `ROOM/*` means the files directly in a room. A folder without a line of its own belongs to its
 * parent's room.
 */
export const ROOMS: Readonly<Record<string, string>> = {
  text: '',
  fs: 'text',
  manifest: 'text fs',
  elf: 'text fs',
  loader: 'text fs manifest elf',
  evidence: 'text fs manifest elf loader',
  resolve: 'text fs manifest elf loader evidence',
  'resolve/usage': 'text fs manifest elf loader evidence resolve/*',
  'resolve/process': 'text fs manifest elf loader evidence resolve/* resolve/usage',
  'resolve/scripts': 'text fs manifest elf loader evidence resolve/*',
  'resolve/data': 'text fs manifest elf loader evidence resolve/*',
  'resolve/packages':
    'text fs manifest elf loader evidence resolve/* resolve/usage resolve/process resolve/scripts resolve/data',
  'resolve/advice':
    'text fs manifest elf loader evidence resolve/* resolve/usage resolve/process resolve/scripts resolve/data',
  image: 'text fs evidence',
  'image/registry': 'fs',
  profile: 'text fs manifest evidence resolve image',
  plan: 'text fs manifest elf evidence resolve image profile',
  jail: 'text fs manifest elf evidence resolve image profile plan',
  'jail/engine': 'text fs manifest',
  'jail/record': 'text fs manifest elf evidence resolve image profile plan jail/* jail/engine',
  'jail/write':
    'text fs manifest elf evidence resolve image profile plan jail/* jail/engine jail/record',
  'jail/build':
    'text fs manifest elf evidence resolve image profile plan jail/* jail/engine jail/record jail/write',
  'jail/check':
    'text fs manifest elf evidence resolve image profile plan jail/* jail/engine jail/record jail/write',
  export: 'text fs manifest elf evidence image plan jail',
  sbom: 'text fs manifest elf evidence export',
  report: 'text fs manifest evidence profile export',
  launcher: 'text fs manifest',
  'launcher/oci': 'text fs launcher/*',
  prove: 'text fs manifest elf evidence resolve image profile plan jail launcher',
  library:
    'text fs manifest elf loader evidence resolve profile plan jail image export sbom report launcher prove',
  cli: 'text fs manifest elf evidence resolve profile plan jail image export sbom report launcher prove',
  'cli/output':
    'text fs manifest elf evidence resolve profile plan jail image export sbom report launcher prove',
  'cli/completion':
    'text fs manifest elf evidence resolve profile plan jail image export sbom report launcher prove cli/*',
  'cli/options':
    'text fs manifest elf evidence resolve profile plan jail image export sbom report launcher prove cli/* cli/output',
  'cli/commands':
    'text fs manifest elf evidence resolve profile plan jail image export sbom report launcher prove cli/* cli/output cli/completion cli/options',
};

/** Packages that only the command line uses, and the rooms that may import them. */
const CLI_PACKAGES: Readonly<Record<string, readonly string[]>> = {
  yargs: ['cli'],
  listr2: ['cli', 'cli/output'],
};

const DATA = '**/*.json';

function rule(includes: string, room: string, group: readonly string[]) {
  const packages = Object.entries(CLI_PACKAGES)
    .filter(([, rooms]) => !rooms.includes(room))
    .flatMap(([name]) => [name, `${name}/**`]);
  const message = `src/${room} must not import this: see src/tooling/rooms.ts`;
  const options = { patterns: [{ message, group: [...group, ...packages] }] };
  return {
    includes: [includes],
    linter: { rules: { style: { noRestrictedImports: { level: 'error', options } } } },
  };
}

/**
 * Returns the rules of a room: for its files, and for those in its folders, where the paths to
 * other rooms are one directory longer. A group first restricts, then allows ("!").
 */
function rulesOf(room: string, allowed: string) {
  const [top, inner] = room.split('/');
  const names = allowed.split(' ').filter((name) => name !== '');
  const siblings = names
    .filter((name) => name.startsWith(`${top}/`))
    .map((name) => name.slice(`${top}/`.length))
    .map((name) => (name === '*' ? '!../*' : `!../${name}/**`));
  const rooms = (up: string) => [
    ...[`${up}**`, `!${up}${DATA}`, `!${up}errors.js`],
    ...names.filter((name) => !name.includes('/')).map((name) => `!${up}${name}/**`),
  ];
  const fromFolder = (own: readonly string[]) => ['../**', ...own, ...rooms('../../')];
  if (inner !== undefined) return [rule(`src/${room}/**`, room, fromFolder(siblings))];
  return [
    rule(`src/${room}/*`, room, rooms('../')),
    rule(`src/${room}/*/**`, room, fromFolder(['!../*', '!../*/**'])),
  ];
}

/** Returns the Biome configuration of the table, as text. */
export function importRules(): string {
  const overrides = [
    rule('src/errors.ts', 'errors.ts', ['./**', '../**']),
    ...Object.entries(ROOMS).flatMap(([room, allowed]) => rulesOf(room, allowed)),
    rule('src/index.ts', 'index.ts', ['./cli/**', './tooling/**']),
  ];
  return `${JSON.stringify({ overrides }, undefined, 2)}\n`;
}

export const RULES_FILE = fileURLToPath(new URL('rooms.json', import.meta.url));

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(RULES_FILE, importRules());
