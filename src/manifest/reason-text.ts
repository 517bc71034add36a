import type { Reason } from './manifest.js';

const USED: Readonly<Record<string, string>> = {
  execute: 'executed',
  open: 'opened',
  write: 'written',
  list: 'listed',
  readlink: 'read as a link',
  access: 'looked at',
  stat: 'looked at',
  chdir: 'entered',
  connect: 'connected to',
  hold: 'written in',
};

/** Describes a reason in a few words, to follow a path. */
export function reasonText(reason: Reason): string {
  switch (reason.kind) {
    case 'requested':
      return `requested as ${reason.as}`;
    case 'needed':
      return `needed by ${reason.by} [${reason.rule}]`;
    case 'interpreter':
      return `interpreter of ${reason.of}`;
    case 'shebang':
      return `interpreter of the script ${reason.of}`;
    case 'env':
      return `started as ${reason.name} by the script ${reason.of}`;
    case 'dlopen':
      return `opened by ${reason.by} (${reason.feature ?? 'dlopen'}, ${reason.priority}) [${reason.rule}]`;
    case 'nsswitch':
      return `name service of ${reason.by}`;
    case 'nss-module':
      return `${reason.databases} for ${reason.by} [${reason.rule}]`;
    case 'gconv':
      return reason.name === undefined ? 'character sets' : `character set ${reason.name}`;
    case 'locale':
      return `locale ${reason.name}`;
    case 'ca-certificates':
      return 'CA certificates';
    case 'openssl':
      return 'configuration of OpenSSL';
    case 'time-zone':
      return `time zone ${reason.name}`;
    case 'hwcaps':
      return `${reason.level} variant of ${reason.of}`;
    case 'link-target':
      return `target of ${reason.of}`;
    case 'parent':
      return 'on the way';
    case 'merged-usr':
      return 'merged-/usr link';
    case 'ld-cache':
      return 'library cache';
    case 'local-hosts':
      return 'names of the jail itself';
    case 'ld-musl-path':
      return `search path of ${reason.of}`;
    case 'profile':
      return `profile ${reason.name}`;
    case 'account':
      return reason.as === undefined ? `user ${reason.name}` : `login shell of ${reason.name}`;
    case 'included':
      return `included as ${reason.as}`;
    case 'observed': {
      const by = reason.by === undefined ? '' : ` by ${reason.by}`;
      return `observed: ${USED[reason.use] ?? reason.use}${by} in ${reason.in}`;
    }
    case 'directory':
      return `requested as directory ${reason.name}`;
    case 'package':
      return `package ${reason.name}`;
    case 'named':
      return `named by ${reason.by}, package ${reason.package}`;
    case 'command':
      return reason.line === undefined
        ? `started as ${reason.name} by ${reason.by}`
        : `run as ${reason.name} by the script ${reason.by}, line ${reason.line}`;
    case 'sourced':
      return `sourced by the script ${reason.by}, line ${reason.line}`;
    case 'terminfo':
      return `terminal description ${reason.name}`;
  }
}
