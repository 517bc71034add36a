import { absoluteRoot } from '../image/reference.js';
import { csvFields, csvText } from '../text/csv.js';
import type { OptionValue, OptionValues } from './option-values.js';

/** Makes a path absolute. */
type From = (name: string) => string;
type Change = (value: string, from: From) => string;

/** The paths in values of options: those of a jail file are relative to its directory. */
const BUILD: Readonly<Record<string, Change>> = {
  manifest: whole,
  'sbom-file': whole,
  directory: whole,
  sysroot: (value, from) => absoluteRoot(value, from('.')),
  'library-path': (value, from) => value.split(/[:;]/).map(from).join(':'),
};

const RUN: Readonly<Record<string, Change>> = {
  bind: source,
  'ro-bind': source,
  'dev-bind': source,
  'bind-try': source,
  'ro-bind-try': source,
  'dev-bind-try': source,
  mount,
  overlay: unless('tmpfs'),
  'env-file': whole,
  pidns: whole,
  network: (value, from) => (value.startsWith('ns:') ? `ns:${from(value.slice(3))}` : value),
  seccomp: unless('default', 'off'),
};

/** Makes the paths in options of `build` absolute. */
export function withPaths(values: OptionValues, from: From): OptionValues {
  return changed(values, BUILD, from);
}

/** Makes the paths in options of `run` absolute. */
export function withRunPaths(values: OptionValues, from: From): OptionValues {
  return changed(values, RUN, from);
}

function changed(
  values: OptionValues,
  changes: Readonly<Record<string, Change>>,
  from: From,
): OptionValues {
  return Object.fromEntries(
    Object.entries(values).map(([name, value]): [string, OptionValue] => {
      const change = changes[name];
      if (change === undefined || typeof value === 'boolean') return [name, value];
      if (typeof value === 'string') return [name, change(value, from)];
      return [name, value.map((item) => change(item, from))];
    }),
  );
}

function whole(value: string, from: From): string {
  return value === '' ? value : from(value);
}

function unless(...words: readonly string[]): Change {
  return (value, from) => (words.includes(value) ? value : whole(value, from));
}

/** Changes SOURCE[:...]; a colon after a backslash is part of the path. */
function source(value: string, from: From): string {
  const [, first = '', rest = ''] = /^((?:\\.|[^:])*)(.*)$/s.exec(value) ?? [];
  return whole(first, from) + rest;
}

/** Changes the sources in a mount in podman's syntax. */
function mount(value: string, from: From): string {
  const fields = csvFields(value).map((field) => {
    const [, name, text] = /^(src|source|upperdir|workdir)=(.+)$/s.exec(field) ?? [];
    return name === undefined || text === undefined ? field : `${name}=${from(text)}`;
  });
  return csvText(fields);
}
