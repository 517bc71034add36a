import { JailbuildError, strerror } from '../../errors.js';
import { readTextFile } from '../../fs/read-text.js';
import type { OciConfig, OciProcess } from './spec.js';

/**
 * Type of a JSON value: a scalar, text of a pattern, a list of one type, an object whose members have one type (`*`), or
 * an object with the members of a table. A name that ends with `!` is that of a required member; other members are not checked.
 */
type Shape =
  | 'text'
  | 'integer'
  | 'flag'
  | 'object'
  | RegExp
  | readonly [Shape]
  | { readonly [name: string]: Shape };

const TEXTS: Shape = ['text'];
const MAPPINGS: Shape = [{ 'containerID!': 'integer', 'hostID!': 'integer', 'size!': 'integer' }];
const HOOKS: Shape = [{ 'path!': 'text', args: TEXTS, env: TEXTS, timeout: 'integer' }];
const DEVICE_TYPE = /^[abcup]$/;
const DEVICE = { type: DEVICE_TYPE, major: 'integer', minor: 'integer' } as const;

const PROCESS: Shape = {
  terminal: 'flag',
  user: { 'uid!': 'integer', 'gid!': 'integer', umask: 'integer', additionalGids: ['integer'] },
  args: TEXTS,
  env: TEXTS,
  'cwd!': 'text',
  capabilities: { '*': TEXTS },
  rlimits: [{ 'type!': 'text', 'soft!': 'integer', 'hard!': 'integer' }],
  noNewPrivileges: 'flag',
  oomScoreAdj: 'integer',
  apparmorProfile: 'text',
  selinuxLabel: 'text',
};

const RESOURCES: Shape = {
  devices: [{ 'allow!': 'flag', ...DEVICE, access: 'text' }],
  memory: {
    ...{ limit: 'integer', swap: 'integer', reservation: 'integer', kernel: 'integer' },
    ...{ kernelTCP: 'integer', swappiness: 'integer', disableOOMKiller: 'flag' },
    ...{ useHierarchy: 'flag', checkBeforeUpdate: 'flag' },
  },
  pids: { 'limit!': 'integer' },
  cpu: {
    ...{ shares: 'integer', quota: 'integer', period: 'integer', cpus: 'text', mems: 'text' },
    ...{ burst: 'integer', idle: 'integer', realtimeRuntime: 'integer', realtimePeriod: 'integer' },
  },
  blockIO: 'object',
  hugepageLimits: ['object'],
  network: 'object',
  rdma: 'object',
  unified: { '*': 'text' },
};

const SECCOMP: Shape = {
  'defaultAction!': 'text',
  defaultErrnoRet: 'integer',
  architectures: [/^SCMP_ARCH_\w+$/],
  flags: TEXTS,
  listenerPath: 'text',
  syscalls: [
    {
      'names!': TEXTS,
      'action!': 'text',
      errnoRet: 'integer',
      args: [{ 'index!': 'integer', 'value!': 'integer', valueTwo: 'integer', 'op!': 'text' }],
    },
  ],
};

/** The parts of config.json that this runtime reads, by the runtime specification's config.md and config-linux.md. */
const CONFIG: Shape = {
  'ociVersion!': 'text',
  hostname: 'text',
  domainname: 'text',
  root: { 'path!': 'text', readonly: 'flag' },
  process: PROCESS,
  mounts: [
    {
      ...{ 'destination!': 'text', type: 'text', source: 'text', options: TEXTS },
      ...{ uidMappings: MAPPINGS, gidMappings: MAPPINGS },
    },
  ],
  hooks: { '*': HOOKS },
  annotations: { '*': 'text' },
  linux: {
    namespaces: [{ 'type!': 'text', path: 'text' }],
    uidMappings: MAPPINGS,
    gidMappings: MAPPINGS,
    devices: [
      {
        major: 'integer',
        minor: 'integer',
        'path!': 'text',
        'type!': DEVICE_TYPE,
        fileMode: 'integer',
        uid: 'integer',
        gid: 'integer',
      },
    ],
    netDevices: { '*': { name: 'text' } },
    cgroupsPath: 'text',
    resources: RESOURCES,
    maskedPaths: TEXTS,
    readonlyPaths: TEXTS,
    rootfsPropagation: /^(r?(private|shared|slave|unbindable))?$/,
    sysctl: { '*': 'text' },
    seccomp: SECCOMP,
    timeOffsets: { '*': { secs: 'integer', nanosecs: 'integer' } },
    mountLabel: 'text',
  },
};

const EXPECTED = {
  text: 'text without NUL bytes',
  integer: 'an integer',
  flag: 'true or false',
  object: 'an object',
};

/**
 * Reads a bundle's config.json.
 *
 * @throws JailbuildError NOT_READABLE, or USAGE for members of another type than specified
 */
export function parseConfig(text: string, file: string): OciConfig {
  return parsed(text, file, CONFIG) as OciConfig;
}

/** Reads the process of `exec`, in the format of config.json's. */
export function readProcess(file: string): OciProcess {
  return parsed(textOf(file), file, PROCESS) as OciProcess;
}

export function readConfig(file: string): OciConfig {
  return parseConfig(textOf(file), file);
}

const MAX_BYTES = 16 << 20;

function textOf(file: string): string {
  return readTextFile(file, MAX_BYTES);
}

function parsed(text: string, file: string, shape: Shape): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    const why = error instanceof SyntaxError ? error.message : strerror(error);
    throw new JailbuildError('NOT_READABLE', `${file}: ${why}`, file);
  }
  return shaped(value, shape, { file, name: '' });
}

interface Place {
  readonly file: string;
  readonly name: string;
}

/** Returns the value without members that are null, as which Go's encoder writes what is empty. */
function shaped(value: unknown, shape: Shape, place: Place): unknown {
  if (typeof shape === 'string') return scalar(value, shape, place);
  if (shape instanceof RegExp) {
    if (typeof value === 'string' && shape.test(value)) return value;
    return refuse(place, `text that matches ${shape.source}`);
  }
  if (isList(shape)) {
    if (!Array.isArray(value)) return refuse(place, 'a list');
    return value.map((item, index) => shaped(item, shape[0], within(place, `[${index}]`)));
  }
  const members = Object.entries(object(value, place)).filter(([, member]) => member !== null);
  const names = new Set(members.map(([name]) => name));
  for (const name of Object.keys(shape))
    if (name.endsWith('!') && !names.has(name.slice(0, -1)))
      refuse(within(place, `.${name.slice(0, -1)}`), 'present');
  return Object.fromEntries(
    members.map(([name, member]) => {
      const key = [name, `${name}!`, '*'].find((each) => Object.hasOwn(shape, each));
      const its = key === undefined ? undefined : shape[key];
      return [name, its === undefined ? member : shaped(member, its, within(place, `.${name}`))];
    }),
  );
}

function scalar(value: unknown, shape: 'text' | 'integer' | 'flag' | 'object', place: Place) {
  if (shape === 'object') return object(value, place);
  const isRight =
    (shape === 'text' && typeof value === 'string' && !value.includes('\0')) ||
    (shape === 'integer' && Number.isInteger(value)) ||
    (shape === 'flag' && typeof value === 'boolean');
  return isRight ? value : refuse(place, EXPECTED[shape]);
}

function object(value: unknown, place: Place): object {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value;
  return refuse(place, EXPECTED.object);
}

function isList(shape: Exclude<Shape, string | RegExp>): shape is readonly [Shape] {
  return Array.isArray(shape);
}

function within({ file, name }: Place, member: string): Place {
  return { file, name: name + member };
}

function refuse({ file, name }: Place, wanted: string): never {
  const what = name === '' ? 'the document' : name.slice(1);
  throw new JailbuildError('USAGE', `${file}: ${what} must be ${wanted}`);
}
