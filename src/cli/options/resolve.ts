import path from 'node:path';
import { JailbuildError } from '../../errors.js';
import type {
  DlopenChoice,
  LdCacheChoice,
  ResolveRequest,
  TerminfoChoice,
  TraceScope,
} from '../../manifest/request.js';
import type { Arguments } from '../command.js';

const GROUP = 'Files opened at run time:';

/** The option of commands that resolve programs without building. */
export const noCacheOption = {
  'no-cache': {
    type: 'boolean',
    describe: 'Read each file again instead of reusing what earlier runs stored, and store nothing',
  },
} as const;

/** Options that determine the files of programs and their source; shared by several commands. */
export const resolveOptions = {
  sysroot: {
    type: 'string',
    requiresArg: true,
    describe:
      'Take all files from this directory, image or directory of .deb files instead of the host',
    placeholder: 'DIR|IMAGE|deb:DIR',
    complete: 'directory',
  },
  package: {
    type: 'string',
    array: true,
    nargs: 1,
    describe: 'Add the files of a package that programs may open at run time',
    placeholder: 'NAME',
    group: GROUP,
  },
  'with-package': {
    type: 'boolean',
    describe: 'Add the packages that own the programs, and the data that the programs name',
    group: GROUP,
  },
  'package-depends': {
    type: 'string',
    requiresArg: true,
    describe: 'Add the dependencies of these packages too, to this depth [default: 0]',
    placeholder: 'N|all',
    complete: ['all'],
    group: GROUP,
  },
  'package-essential': {
    type: 'boolean',
    describe: 'With --package-depends, add essential packages too',
    group: GROUP,
  },
  'package-docs': {
    type: 'boolean',
    describe: 'Keep the documentation, translations, headers and static libraries of packages',
    group: GROUP,
  },
  'script-commands': {
    choices: ['auto', 'none'],
    describe:
      'Add the commands that shell scripts run and the files that they source [default: auto]',
    group: GROUP,
  },
  terminfo: {
    type: 'string',
    requiresArg: true,
    describe: 'Add terminal descriptions [default: those of TERM and of common terminals]',
    placeholder: 'all|none|NAME,...',
    complete: ['all', 'none'],
    group: GROUP,
  },
  'ld-cache': {
    choices: ['generate', 'copy', 'none'],
    describe:
      "Library cache of the loader: generated for the jail, the host's, or none [default: generate]",
    group: GROUP,
  },
  'library-path': {
    type: 'string',
    requiresArg: true,
    describe:
      'Search these directories for libraries, as the loader does if LD_LIBRARY_PATH names them',
    placeholder: 'DIR[:DIR...]',
    complete: 'directory',
  },
  dlopen: {
    choices: ['required', 'recommended', 'suggested', 'none'],
    describe:
      'Add the libraries that ELF notes declare to be opened at run time [default: required]',
    group: GROUP,
  },
  nss: {
    choices: ['auto', 'none'],
    describe: 'Add nsswitch.conf and the name service modules that it lists [default: auto]',
    group: GROUP,
  },
  gconv: {
    type: 'string',
    requiresArg: true,
    describe: 'Add character sets for iconv, by any of their names',
    placeholder: 'all|NAME,...',
    complete: ['all'],
    group: GROUP,
  },
  locale: {
    type: 'string',
    requiresArg: true,
    describe: 'Add locales, named as in LC_ALL',
    placeholder: 'NAME,...',
    group: GROUP,
  },
  'ca-certificates': {
    type: 'boolean',
    describe: 'Add CA certificates for TLS, and the configuration of OpenSSL',
    group: GROUP,
  },
  tz: {
    type: 'string',
    requiresArg: true,
    describe: "Add time zones, named as in TZ; host adds the host's /etc/localtime",
    placeholder: 'all|host|NAME,...',
    complete: ['all', 'host'],
    group: GROUP,
  },
  trace: {
    type: 'string',
    array: true,
    nargs: 1,
    describe: 'Add the files that a run used, as `jailbuild trace` recorded them',
    placeholder: 'FILE',
    complete: 'file',
    group: GROUP,
  },
  'trace-scope': {
    choices: ['files', 'directories', 'packages'],
    describe:
      'With --trace, add the used files, their whole directories, or their packages [default: files]',
    group: GROUP,
  },
} as const;

type ResolveArguments = Arguments<Record<never, never>, typeof resolveOptions> &
  Pick<ResolveRequest, 'sysrootImage'>;

/** Picks these options from those of a command. */
export function optionsOf(args: ResolveArguments): ResolveArguments {
  const names = [
    ...(Object.keys(resolveOptions) as (keyof typeof resolveOptions)[]),
    'sysrootImage' as const,
  ];
  return Object.fromEntries(names.map((name) => [name, args[name]])) as ResolveArguments;
}

/** Returns the request that these options form. */
export function resolveChoices(args: Partial<ResolveArguments>): Omit<ResolveRequest, 'programs'> {
  const { sysroot, sysrootImage, dlopen, nss, terminfo, gconv, locale, tz, trace } = args;
  const scope = args['trace-scope'];
  return {
    ...(args['ld-cache'] === undefined ? {} : { ldCache: args['ld-cache'] as LdCacheChoice }),
    ...(args['library-path'] === undefined
      ? {}
      : { libraryPath: libraryPathOf(args['library-path'], sysroot) }),
    ...(sysroot === undefined ? {} : { sysroot }),
    ...(sysrootImage === undefined ? {} : { sysrootImage }),
    ...packageChoices(args),
    ...(terminfo === undefined ? {} : { terminfo: terminfoChoice(terminfo) }),
    ...(dlopen === undefined ? {} : { dlopen: dlopen as DlopenChoice }),
    ...(nss === 'none' ? { nss } : {}),
    ...(gconv === undefined ? {} : { gconv: allOr(gconv, 'gconv') }),
    ...(locale === undefined ? {} : { locales: names(locale, 'locale') }),
    ...(args['ca-certificates'] ? { caCertificates: true } : {}),
    ...(tz === undefined ? {} : { timeZones: allOr(tz, 'tz') }),
    ...(trace === undefined ? {} : { traces: trace.map((file) => path.resolve(file)) }),
    ...(scope === undefined ? {} : { traceScope: scope as TraceScope }),
  };
}

function packageChoices(args: Partial<ResolveArguments>): Partial<ResolveRequest> {
  const { package: packages = [], 'package-depends': depends } = args;
  return {
    ...(packages.length === 0 ? {} : { packages }),
    ...(args['with-package'] ? { withPackage: true } : {}),
    ...(depends === undefined ? {} : { packageDepends: depthOf(depends) }),
    ...(args['package-essential'] ? { packageEssential: true } : {}),
    ...(args['package-docs'] ? { packageDocs: true } : {}),
    ...(args['script-commands'] === undefined
      ? {}
      : { scriptCommands: args['script-commands'] as 'auto' | 'none' }),
  };
}

function depthOf(text: string): 'all' | number {
  if (text === 'all') return text;
  if (/^\d{1,3}$/.test(text)) return Number(text);
  throw new JailbuildError('USAGE', `--package-depends ${text}: give a number of steps, or all`);
}

/**
 * Parses a list as ld.so(8) parses LD_LIBRARY_PATH. Relative directories start at the working directory,
 * or at the top of a sysroot; those that begin with a token, such as $ORIGIN, are kept.
 */
function libraryPathOf(text: string, sysroot: string | undefined): string[] {
  const base = sysroot === undefined ? process.cwd() : '/';
  return text
    .split(/[:;]/)
    .map((directory) => (directory.startsWith('$') ? directory : path.resolve(base, directory)));
}

function terminfoChoice(text: string): TerminfoChoice {
  if (text === 'all' || text === 'none') return text;
  const entries = text.split(',').filter((name) => name !== '');
  if (entries.length === 0 || entries.some((name) => name.includes('/'))) {
    throw new JailbuildError('USAGE', `--terminfo ${text}: give all, none, or NAME,...`);
  }
  return entries;
}

function allOr(text: string, option: string): 'all' | readonly string[] {
  return text === 'all' ? text : names(text, option);
}

function names(text: string, option: string): readonly string[] {
  const list = text.split(',').filter((name) => name !== '');
  if (list.length > 0) return list;
  throw new JailbuildError('USAGE', `--${option} ${JSON.stringify(text)}: give NAME,...`);
}
