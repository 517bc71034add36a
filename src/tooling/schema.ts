// Usage: node --import tsx src/tooling/schema.ts
// Writes templates/schema/jail.schema.json from the definitions here and the options of build and
// run.
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Options } from 'yargs';
import type { OptionTable } from '../cli/command.js';
import { buildCommand } from '../cli/commands/build.js';
import { runCommand } from '../cli/commands/run.js';
import { imageSourceOptions } from '../cli/options/registry.js';

type Json = Readonly<Record<string, unknown>>;

/** Options specific to a single invocation, and those with another key in jail files. */
const BUILD_ONLY = [
  ...[
    'file',
    'from',
    'json',
    'quiet',
    'verbose',
    'dry-run',
    'format',
    'run',
    'progress',
    'depfile',
    'depfile-target',
    ...Object.keys(imageSourceOptions),
  ],
  ...['profile', 'user', 'include', 'exclude', 'trace', 'prove'],
];
const RUN_ONLY = [
  ...[
    'verbose',
    'print-command',
    'oci-bundle',
    'args',
    'list-changes',
    'changes-file',
    'observe',
    'json',
    'die-with-parent',
  ],
  // File descriptors belong to the caller.
  ...['fd', 'preserve-fds', 'listen-fds', 'info-fd', 'json-status-fd', 'block-fd', 'sync-fd'],
  ...['bind-fd', 'ro-bind-fd', 'bind-data', 'ro-bind-data', 'file', 'seccomp-fd'],
];
/** Options whose values are joined by commas. */
const COMMA_LISTS = ['terminfo', 'gconv', 'locale', 'tz'];

const SCALAR = { type: ['string', 'number'] };
/**
 * A word or a list of words; a single word has no spaces, since it could be mistaken for several.
 */
const WORDS = {
  type: ['array', 'string', 'number'],
  items: { type: ['string', 'number'] },
  pattern: '^\\S*$',
  description: 'one word, or a list of words',
};
const LIST_OR_WORD = { type: ['array', 'string', 'number'], items: SCALAR };
const LIST_OR_MAP = {
  type: ['array', 'object'],
  items: { type: 'string' },
  additionalProperties: { type: ['string', 'number', 'boolean'] },
};
const TEXT_MAP = {
  type: 'object',
  additionalProperties: { type: ['string', 'number', 'boolean'] },
};
/** An item that YAML cannot have made by folding several lines. */
const LISTED = { type: 'string', minLength: 1, pattern: '^\\S+$|/' };
const NAMES = { type: 'array', items: { type: 'string', minLength: 1 } };
const ID = { type: 'integer', minimum: 0, maximum: 4_294_967_294 };

/** A field of passwd(5). */
const FIELD = '^[^:\\x00-\\x1f\\x7f]*$';

export function jailSchema(): Json {
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'A jail file of jailbuild',
    description: 'docs/jail-file.md describes it.',
    type: 'object',
    additionalProperties: false,
    properties: {
      root: { ...text('Directory of the jail, relative to this file'), minLength: 1 },
      programs: {
        type: 'array',
        items: {
          ...LISTED,
          description: 'one program; write a name with spaces as a path',
        },
        description: 'Programs by name, found on PATH, or by path, relative to this file',
      },
      profiles: {
        type: 'array',
        items: {
          ...LISTED,
          description: 'one profile; write a name with spaces as a path',
        },
        description: 'Profiles by name, or files by path (with a slash), relative to this file',
      },
      users: {
        description: "Users of the jail's passwd and group",
        type: 'array',
        items: {
          type: ['string', 'object'],
          pattern: '^[A-Za-z_][A-Za-z0-9_.-]*\\$?(:[0-9]{1,10}){0,2}$',
          description: 'NAME, NAME:UID or NAME:UID:GID',
          additionalProperties: false,
          required: ['name'],
          properties: {
            name: {
              type: 'string',
              pattern: '^[A-Za-z_][A-Za-z0-9_.-]*\\$?$',
              description: 'a user name',
            },
            uid: ID,
            gid: ID,
            home: passwdPath('home directory'),
            shell: passwdPath('login shell'),
            gecos: { ...text('text on one line without a colon (full name)'), pattern: FIELD },
            groups: NAMES,
          },
        },
      },
      includes: {
        description: 'Files to add, by path or pattern; a directory includes its content',
        type: 'array',
        items: {
          type: ['string', 'object'],
          minLength: 1,
          additionalProperties: false,
          required: ['from'],
          properties: {
            from: { type: 'string', minLength: 1 },
            to: absolute('Path in the jail'),
          },
        },
      },
      excludes: { ...NAMES, description: 'Files to exclude, by patterns of paths in the jail' },
      traces: {
        ...NAMES,
        description: 'Traces of runs, relative to this file, whose used files are added',
      },
      proofs: {
        description: 'Commands that must succeed in the jail, by name',
        type: 'object',
        additionalProperties: {
          type: 'object',
          additionalProperties: false,
          required: ['command'],
          properties: {
            command: WORDS,
            stdin: text('Standard input of the command; default: empty'),
            status: {
              type: 'integer',
              minimum: 0,
              maximum: 255,
              description: 'Expected exit status',
            },
            output: text('Regular expression that its output must match'),
            timeout: {
              type: 'number',
              exclusiveMinimum: 0,
              description: 'Time limit in seconds; default: 60',
            },
          },
        },
      },
      ...options(buildCommand.options, BUILD_ONLY),
      run: {
        description: 'Options of `jailbuild run`, by their long names, and the command',
        type: 'object',
        additionalProperties: false,
        properties: {
          command: WORDS,
          ...options(runCommand.options, RUN_ONLY),
          env: { ...LIST_OR_MAP, description: 'Environment variables' },
        },
      },
      image: {
        description: 'Configuration of the image that `jailbuild export` makes',
        type: 'object',
        additionalProperties: false,
        properties: {
          to: text('Destination, as for `export --to`'),
          entrypoint: WORDS,
          cmd: {
            ...WORDS,
            description: 'one word, or a list of words, after the entrypoint',
          },
          env: { ...LIST_OR_MAP, description: 'Environment variables' },
          user: { ...SCALAR, description: 'USER[:GROUP] by name or number' },
          workdir: absolute('Working directory'),
          labels: TEXT_MAP,
          annotations: TEXT_MAP,
          layers: {
            enum: ['single', 'by-package', 'by-library'],
            description: 'How files are distributed over layers',
          },
          platform: {
            type: 'string',
            pattern: '^[a-z0-9]+/[a-z0-9]+(/[a-z0-9.]+)?$',
            description: 'OS/ARCHITECTURE[/VARIANT]',
          },
          expose: { ...LIST_OR_WORD, description: 'PORT[/PROTOCOL] on which a server listens' },
          volumes: {
            ...LIST_OR_WORD,
            description: 'Directories for persistent data',
          },
          'stop-signal': SCALAR,
          author: text('Author of the image'),
          sbom: { enum: ['cyclonedx', 'spdx'], description: 'Software bill of materials' },
        },
      },
    },
  };
}

function text(description: string): Json {
  return { type: 'string', description };
}

function passwdPath(description: string): Json {
  return {
    type: 'string',
    pattern: '^/[^:\\x00-\\x1f\\x7f]*$',
    description: `an absolute path without a colon (${description})`,
  };
}

function absolute(description: string): Json {
  return { type: 'string', pattern: '^/', description: `${description}, an absolute path` };
}

function options(table: OptionTable, without: readonly string[]): Json {
  return Object.fromEntries(
    Object.entries(table)
      .filter(([name]) => !without.includes(name))
      .map(([name, option]) => [
        name,
        { ...valueSchema(name, option), description: option.describe },
      ]),
  );
}

function valueSchema(name: string, { type, choices, array }: Options): Json {
  if (type === 'boolean') return { type };
  if (array)
    return choices === undefined ? LIST_OR_WORD : { type: 'array', items: { enum: choices } };
  if (choices !== undefined) return { enum: choices };
  return COMMA_LISTS.includes(name) ? LIST_OR_WORD : SCALAR;
}

/** Returns the schema's text as in the repository. */
export function jailSchemaText(): string {
  const json = JSON.stringify(jailSchema(), null, 2);
  const { stdout, status, stderr } = spawnSync(
    'node_modules/.bin/biome',
    ['format', '--stdin-file-path', 'jail.schema.json'],
    { input: json, encoding: 'utf8' },
  );
  if (status !== 0) throw new Error(stderr);
  return stdout;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  process.chdir(path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..'));
  writeFileSync('templates/schema/jail.schema.json', jailSchemaText());
}
