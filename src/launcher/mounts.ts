import path from 'node:path';
import { JailbuildError } from '../errors.js';
import { escapeColons } from '../text/colon.js';
import { csvFields } from '../text/csv.js';
import type { BindMount, Mount, PlacedFile } from './options.js';
import { isOpen, parseBind } from './values.js';

function refuse(option: string, text: string, wanted: string): never {
  throw new JailbuildError('USAGE', `${option} ${text}: give ${wanted}`);
}

/**
 * Parses a bind mount in the syntax of `--bind` and its variants.
 *
 * @param option such as `--ro-bind-try`
 * @throws JailbuildError USAGE
 */
export function parseBindOption(option: string, text: string): BindMount {
  const bind = parseBind(option, text, option.startsWith('--dev-bind'));
  return {
    ...bind,
    readOnly: bind.readOnly || option.startsWith('--ro-bind'),
    ...(option.endsWith('-try') ? { optional: true } : {}),
  };
}

/** The launcher's options that place something in the jail, with the syntax of their values. */
const PLACED = {
  '--bind-fd': 'FD:DEST',
  '--ro-bind-fd': 'FD:DEST',
  '--file': 'FD:DEST[:OCTAL]',
  '--bind-data': 'FD:DEST[:OCTAL]',
  '--ro-bind-data': 'FD:DEST[:OCTAL]',
  '--dir': 'DEST[:OCTAL]',
  '--symlink': 'TEXT:DEST',
  '--chmod': 'OCTAL:DEST',
  '--mqueue': 'DEST',
} as const;

/**
 * Parses an option that places something in the jail.
 *
 * @throws JailbuildError USAGE
 */
export function parsePlaced(option: keyof typeof PLACED, text: string): PlacedFile {
  const form = PLACED[option];
  const fields = text.split(/(?<!\\):/);
  const names = form.replaceAll(/[[\]]/g, '').split(':');
  const fieldOf = (name: string): string | undefined => fields[names.indexOf(name)];
  const target = fieldOf('DEST') ?? '';
  const octal = fieldOf('OCTAL') ?? '0';
  const isNumber = /^\d{1,7}$/.test(fieldOf('FD') ?? '0') && /^[0-7]+$/.test(octal);
  if (!target.startsWith('/') || fields.length > names.length || !isNumber)
    refuse(option, text, form);
  if (Number.parseInt(octal, 8) > 0o7777) refuse(option, text, `${form}, OCTAL up to 7777`);
  const fd = form.startsWith('FD') ? Number(fields[0]) : undefined;
  if (fd !== undefined && !isOpen(fd)) refuse(option, text, `${form}, FD an open descriptor`);
  const readOnly = option.startsWith('--ro-') ? ['ro'] : [];
  const mode = option.endsWith('-data') ? fields.splice(2) : [];
  const words = [...mode.map((given) => `mode=${given}`), ...readOnly].join();
  return {
    option: option.replace('--ro-', '--'),
    value: [...fields, ...(words === '' ? [] : [words])].join(':'),
    target: target.replace(/\\(.)/g, '$1'),
    ...(fd === undefined ? {} : { fd }),
  };
}

/**
 * Parses a mount in podman's syntax: `type=bind,src=/a,dst=/b,ro`. A field that contains a comma or a quote must be
 * quoted as in CSV (RFC 4180).
 *
 * @throws JailbuildError USAGE
 */
export function parseMount(option: string, text: string): Mount {
  const wanted = 'type=bind|tmpfs|overlay|mqueue,src=SRC,dst=DEST[,ro][,OPTION...]';
  const given = csvFields(text).map((field) => {
    const [, name = field, value = 'true'] = /^(.*?)=(.*)$/s.exec(field) ?? [];
    return { name, value };
  });
  const isOverlay = given.some(({ name, value }) => name === 'type' && value === 'overlay');
  const fields = new Map<string, string>();
  const sources: string[] = [];
  for (const { name, value } of given) {
    const isSource = name === 'src' || name === 'source';
    if (isSource) sources.push(value);
    if (fields.has(name) && !(isSource && isOverlay)) refuse(option, text, `${name} once`);
    fields.set(name, value);
  }
  const take = (...names: readonly string[]): string | undefined => {
    const name = names.find((each) => fields.has(each));
    const value = name === undefined ? undefined : fields.get(name);
    for (const each of names) fields.delete(each);
    return value;
  };
  const flag = (...names: readonly string[]): boolean => {
    const value = take(...names) ?? 'false';
    if (value !== 'true' && value !== 'false') refuse(option, text, `${names[0]}=true or =false`);
    return value === 'true';
  };
  const type = take('type') ?? 'bind';
  const target = take('dst', 'destination', 'target') ?? '';
  const source = take('src', 'source');
  if (!target.startsWith('/') || /^\/+$/.test(target)) refuse(option, text, wanted);
  const mount = ((): Mount => {
    if (type === 'bind' && source !== undefined && source !== '')
      return {
        source: path.resolve(source),
        target,
        readOnly: flag('ro', 'readonly'),
        devices: flag('dev'),
        optional: flag('try'),
        flat: flag('bind-nonrecursive'),
      };
    if (type === 'overlay' && source !== undefined && source !== '') {
      const layers = [take('upperdir'), take('workdir')].filter((layer) => layer !== undefined);
      if (layers.length === 1) refuse(option, text, 'upperdir=DIR and workdir=DIR together');
      if (sources.includes('')) refuse(option, text, wanted);
      const [first = '', ...further] = sources.map((each) => path.resolve(each));
      const own = layers.map((layer) => path.resolve(layer));
      const fields = [
        first,
        target,
        ...own,
        ...(own.length > 0 || further.length === 0 ? [] : ['', '']),
        ...further,
      ];
      return {
        option: flag('ro', 'readonly') ? '--ro-overlay-mount' : '--overlay-mount',
        value: fields.map(escapeColons).join(':'),
        target,
        lowers: [...further].reverse().concat(first),
      };
    }
    if (type === 'tmpfs') {
      const [size, mode] = [take('tmpfs-size'), take('tmpfs-mode')];
      const options = [
        ...(flag('ro', 'readonly') ? ['ro'] : []),
        ...(size === undefined ? [] : [`size=${size}`]),
        ...(mode === undefined ? [] : [`mode=${mode}`]),
      ];
      return { target, ...(options.length === 0 ? {} : { options: options.join(',') }) };
    }
    if (type === 'mqueue') return { option: '--mqueue', value: escapeColons(target), target };
    return refuse(option, text, wanted);
  })();
  const left = [...fields.keys()][0];
  if (left !== undefined) refuse(option, text, `no ${left}, or ${wanted}`);
  return mount;
}
