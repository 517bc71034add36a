import { JailbuildError } from '../../errors.js';
import { isTrace, type Sysroot, type Trace } from '../../fs/sysroot.js';
import type { FileCollection } from '../file-collection.js';

/**
 * Character sets that glibc converts without a module (iconv/gconv_builtin.h), by its own names.
 */
const BUILT_IN = new Set([
  ...['INTERNAL', 'ANSI_X3.4-1968//', 'UNICODELITTLE//', 'UNICODEBIG//', 'WCHAR_T//'],
  ...['ISO-10646/UTF8/', 'ISO-10646/UCS2/', 'ISO-10646/UCS4/', 'UCS-4LE//', 'UTF-7//'],
]);

/** Common aliases that are built into glibc (iconv/gconv_builtin.h). */
const BUILT_IN_ALIASES: readonly (readonly [alias: string, name: string])[] = [
  ...['UTF8', 'UTF-8', 'ISO-IR-193'].map((alias) => [`${alias}//`, 'ISO-10646/UTF8/'] as const),
  ...['UCS4', 'UCS-4', 'UCS-4BE', 'CSUCS4', 'ISO-10646', '10646-1:1993'].map(
    (alias) => [`${alias}//`, 'ISO-10646/UCS4/'] as const,
  ),
  ...['UCS2', 'UCS-2', 'ISO-10646-UCS-2', 'OSF00010100'].map(
    (alias) => [`${alias}//`, 'ISO-10646/UCS2/'] as const,
  ),
  ...['ASCII', 'US-ASCII', 'US', 'ISO646-US', 'ANSI_X3.4-1986', 'ISO_646.IRV:1991'].map(
    (alias) => [`${alias}//`, 'ANSI_X3.4-1968//'] as const,
  ),
  ...['UCS-2LE', 'UNICODELITTLE'].map((alias) => [`${alias}//`, 'UNICODELITTLE//'] as const),
  ...['UCS-2BE', 'UNICODEBIG'].map((alias) => [`${alias}//`, 'UNICODEBIG//'] as const),
];

interface Module {
  readonly from: string;
  readonly to: string;
  readonly file: string;
}

/**
 * gconv-modules(5), including the files of gconv-modules.d: names, and the modules that convert
 * between them.
 */
interface GconvConfiguration {
  readonly files: readonly Trace[];
  readonly aliases: ReadonlyMap<string, string>;
  readonly modules: readonly Module[];
}

/**
 * Adds what iconv(3) needs for character sets: glibc's list of modules and its cache, and the
 * modules that convert between these sets and glibc's internal form.
 *
 * @param directory where glibc looks for modules
 * @param names names of character sets, in any spelling that iconv knows; or all
 * @param open opens a module as glibc does; returns false if it does not exist
 * @throws JailbuildError CHARSET_NOT_FOUND
 */
export function addGconv(
  sysroot: Sysroot,
  files: FileCollection,
  directory: string,
  names: 'all' | readonly string[],
  open: (path: string, charset: string) => boolean,
): void {
  const configuration = configurationOf(sysroot, directory);
  for (const file of configuration.files) files.add(file, { kind: 'gconv' });
  const cache = sysroot.trace(`${directory}/gconv-modules.cache`);
  if (isTrace(cache)) files.add(cache, { kind: 'gconv' });

  const wanted =
    names === 'all'
      ? configuration.modules.map(({ from }) => [from, from] as const)
      : names.map((name) => [name, realName(configuration, name)] as const);
  for (const [name, real] of wanted) {
    for (const path of modulePaths(configuration, directory, name, real)) {
      if (!open(path, name) && names !== 'all') {
        throw notFound(name, `its module ${path} does not exist`);
      }
    }
  }
}

/**
 * Returns the modules from and to a character set, and the further ones up to glibc's internal
 * form.
 */
function modulePaths(
  { modules }: GconvConfiguration,
  directory: string,
  name: string,
  real: string,
): Set<string> {
  const paths = new Set<string>();
  const queue = [real];
  const seen = new Set(queue);
  for (const set of queue) {
    if (BUILT_IN.has(set)) continue;
    const own = modules.filter(({ from, to }) => from === set || to === set);
    if (own.length === 0) throw notFound(name, `no such character set in ${directory}`);
    for (const { from, to, file } of own) {
      const path = file.startsWith('/') ? file : `${directory}/${file}`;
      paths.add(path.endsWith('.so') ? path : `${path}.so`);
      const other = from === set ? to : from;
      if (!seen.has(other)) queue.push(other);
      seen.add(other);
    }
  }
  return paths;
}

/** Returns the configuration's name of a character set: `ISO-8859-1//` for `latin1`. */
function realName({ aliases, modules }: GconvConfiguration, name: string): string {
  const upper = name.toUpperCase();
  const full = upper.includes('/') ? upper : `${upper}//`;
  const real = aliases.get(full) ?? full;
  return modules.some(({ from }) => from === real) ? real : (aliases.get(real) ?? real);
}

const KNOWN = new WeakMap<Sysroot, Map<string, GconvConfiguration>>();

function configurationOf(sysroot: Sysroot, directory: string): GconvConfiguration {
  const known = KNOWN.get(sysroot) ?? new Map<string, GconvConfiguration>();
  KNOWN.set(sysroot, known);
  const configuration = known.get(directory) ?? readConfiguration(sysroot, directory);
  known.set(directory, configuration);
  return configuration;
}

function readConfiguration(sysroot: Sysroot, directory: string): GconvConfiguration {
  const files: Trace[] = [];
  const aliases = new Map(BUILT_IN_ALIASES);
  const modules: Module[] = [];
  const read = (path: string): void => {
    const found = sysroot.trace(path);
    if (!isTrace(found) || found.stat.type !== 'file') return;
    files.push(found);
    for (const raw of sysroot.readText(found).split('\n')) {
      const [keyword, first = '', second = '', file] = raw.replace(/#.*/, '').trim().split(/\s+/);
      if (keyword === 'alias' && second !== '') {
        aliases.set(first.toUpperCase(), second.toUpperCase());
      } else if (keyword === 'module' && file !== undefined) {
        modules.push({ from: first.toUpperCase(), to: second.toUpperCase(), file });
      }
    }
  };
  read(`${directory}/gconv-modules`);
  const more = sysroot.trace(`${directory}/gconv-modules.d`);
  if (isTrace(more) && more.stat.type === 'directory') {
    for (const name of sysroot.list(more)) if (name.endsWith('.conf')) read(`${more.path}/${name}`);
  }
  return { files, aliases, modules };
}

function notFound(name: string, problem: string): JailbuildError {
  return new JailbuildError('CHARSET_NOT_FOUND', `${name}: ${problem}`, name);
}
