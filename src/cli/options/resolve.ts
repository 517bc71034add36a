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

const GROUP = 'What comes along:';

/** Options that determine the files of programs and their source; shared by several commands. */
export const resolveOptions = {
  sysroot: {
    type: 'string',
    requiresArg: true,
    describe:
      'Take everything from this directory, image or directory of .deb files, as if it were /',
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
    describe: 'Add the packages that own the programs, and the data that they name',
    group: GROUP,
  },
  'package-depends': {
    type: 'string',
    requiresArg: true,
    describe: 'Follow dependencies of packages to this depth [default: 0]',
    placeholder: 'N|all',
    complete: ['all'],
    group: GROUP,
  },
  'package-essential': {
    type: 'boolean',
    describe: 'Follow dependencies to essential packages too',
    group: GROUP,
  },
  'package-docs': {
    type: 'boolean',
    describe: 'Add documentation, translations, headers and static libraries of packages too',
    group: GROUP,
  },
  'script-commands': {
    choices: ['auto', 'none'],
    describe: 'Commands that shell scripts run, and files that they source [default: auto]',
    group: GROUP,
  },
  terminfo: {
    type: 'string',
    requiresArg: true,
    describe: 'Terminal descriptions [default: that of TERM and common ones]',
    placeholder: 'all|none|NAME,...',
    complete: ['all', 'none'],
    group: GROUP,
  },
  'ld-cache': {
    choices: ['generate', 'copy', 'none'],
    describe: "Library cache of the loader: generated, the host's, or none [default: generate]",
    group: GROUP,
  },
  'library-path': {
    type: 'string',
    requiresArg: true,
    describe: 'Directories that LD_LIBRARY_PATH will contain when the programs run',
    placeholder: 'DIR[:DIR...]',
    complete: 'directory',
  },
  dlopen: {
    choices: ['required', 'recommended', 'suggested', 'none'],
    describe: 'Libraries that programs declare to open at run time [default: required]',
    group: GROUP,
  },
  nss: {
    choices: ['auto', 'none'],
    describe: 'nsswitch.conf and the name service modules that it lists [default: auto]',
    group: GROUP,
  },
  gconv: {
    type: 'string',
    requiresArg: true,
    describe: 'Character sets for iconv',
    placeholder: 'all|NAME,...',
    complete: ['all'],
    group: GROUP,
  },
  locale: {
    type: 'string',
    requiresArg: true,
    describe: 'Locales, as in LC_ALL',
    placeholder: 'NAME,...',
    group: GROUP,
  },
  'ca-certificates': {
    type: 'boolean',
    describe: 'CA certificates for TLS, and the configuration of OpenSSL',
    group: GROUP,
  },
  tz: {
    type: 'string',
    requiresArg: true,
    describe: 'Time zones, as in TZ; host is that of the host',
    placeholder: 'all|host|NAME,...',
    complete: ['all', 'host'],
    group: GROUP,
  },
  trace: {
    type: 'string',
    array: true,
    nargs: 1,
    describe: 'Add the files that a run used, from a file written by `jailbuild trace`',
    placeholder: 'FILE',
    complete: 'file',
    group: GROUP,
  },
  'trace-scope': {
    choices: ['files', 'directories', 'packages'],
    describe:
      'Add the files that a run used, their directories, or their packages [default: files]',
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
