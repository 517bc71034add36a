import os from 'node:os';
import { JailbuildError } from '../errors.js';
import { readTextFile } from '../fs/read-text.js';
import { Field, parseJson } from '../manifest/json-field.js';
import type { OciSeccomp } from './oci/spec.js';

/** Machine names of Go, used in containers-seccomp.json(5), and of libseccomp. */
const MACHINES: Readonly<Record<string, { readonly go: string; readonly seccomp: string }>> = {
  x64: { go: 'amd64', seccomp: 'SCMP_ARCH_X86_64' },
  arm64: { go: 'arm64', seccomp: 'SCMP_ARCH_AARCH64' },
};

type Syscall = NonNullable<OciSeccomp['syscalls']>[number];

/**
 * Reads a seccomp profile: `linux.seccomp` of the OCI runtime specification, or the profiles of podman and
 * Docker, whose rules may depend on the machine, the kernel and the capabilities of the run.
 *
 * @param capabilities names in small letters, without their prefix
 * @throws JailbuildError USAGE, NOT_READABLE
 */
export function readSeccompProfile(file: string, capabilities: readonly string[]): OciSeccomp {
  const profile = new Field(read(file), { name: file, code: 'USAGE' }).object();
  const caps = capabilities.map((name) => `CAP_${name.toUpperCase()}`);
  const syscalls = profile.has('syscalls') ? listOf(profile, 'syscalls') : [];
  return {
    defaultAction: profile.member('defaultAction').string(),
    ...errnoOf(profile, 'defaultErrnoRet'),
    architectures: [...textsOf(profile, 'architectures'), ...mappedArchitectures(profile)],
    ...(profile.has('listenerPath')
      ? { listenerPath: profile.member('listenerPath').string() }
      : {}),
    syscalls: syscalls.filter((rule) => applies(rule, caps)).map(syscallOf),
  };
}

const MAX_BYTES = 16 << 20;

function read(file: string): unknown {
  const text = readTextFile(file, MAX_BYTES);
  try {
    return parseJson(text, file);
  } catch (error) {
    if (!(error instanceof JailbuildError)) throw error;
    throw new JailbuildError('USAGE', error.message);
  }
}

/** Returns a list that may be missing, or null as Go's encoder writes an empty list. */
function listOf(object: Field, name: string): Field[] {
  if (!object.has(name) || object.member(name).value === null) return [];
  return object.member(name).items();
}

function textsOf(object: Field, name: string): readonly string[] {
  return listOf(object, name).map((item) => item.string());
}

function numberOf(object: Field, name: string): number {
  return object.has(name) ? object.member(name).integer(0, Number.MAX_SAFE_INTEGER) : 0;
}

function errnoOf<K extends string>(object: Field, name: K): { readonly [key in K]?: number } {
  if (!object.has(name)) return {};
  return { [name]: object.member(name).integer(0, 4095) } as { readonly [key in K]?: number };
}

function mappedArchitectures(profile: Field): readonly string[] {
  const own = MACHINES[process.arch]?.seccomp;
  return listOf(profile, 'archMap').flatMap((item) => {
    const map = item.object();
    const name = map.member('architecture').string();
    return name === own ? [name, ...textsOf(map, 'subArchitectures')] : [];
  });
}

/** Returns whether a rule applies: all of its includes hold, and none of its excludes. */
function applies(rule: Field, caps: readonly string[]): boolean {
  const machine = MACHINES[process.arch]?.go ?? process.arch;
  const conditions = (name: string): Field | undefined =>
    rule.object().has(name) && rule.member(name).value !== null
      ? rule.member(name).object()
      : undefined;
  const [includes, excludes] = [conditions('includes'), conditions('excludes')];
  if (includes !== undefined) {
    const machines = textsOf(includes, 'arches');
    if (machines.length > 0 && !machines.includes(machine)) return false;
    if (!textsOf(includes, 'caps').every((name) => caps.includes(name))) return false;
    if (includes.has('minKernel') && !isKernelFrom(includes.member('minKernel'))) return false;
  }
  if (excludes === undefined) return true;
  if (textsOf(excludes, 'arches').includes(machine)) return false;
  if (textsOf(excludes, 'caps').some((name) => caps.includes(name))) return false;
  return !(excludes.has('minKernel') && isKernelFrom(excludes.member('minKernel')));
}

function isKernelFrom(field: Field): boolean {
  const [major = 0, minor = 0] = field
    .matching(/^\d+\.\d+$/, 'a version of a kernel, as 4.8')
    .split('.')
    .map(Number);
  const [ours = 0, release = 0] = os.release().split('.').map(Number);
  return ours > major || (ours === major && release >= minor);
}

function syscallOf(rule: Field): Syscall {
  const names = rule.has('name') ? [rule.member('name').string()] : [];
  return {
    names: [...names, ...textsOf(rule, 'names')].map((name) =>
      /^\w+$/.test(name) ? name : rule.refuse(`${JSON.stringify(name)} is not a system call`),
    ),
    action: rule.member('action').string(),
    ...errnoOf(rule, 'errnoRet'),
    args: listOf(rule, 'args').map((item) => {
      const comparison = item.object();
      return {
        index: comparison.member('index').integer(0, 5),
        value: numberOf(comparison, 'value'),
        valueTwo: numberOf(comparison, 'valueTwo'),
        op: comparison.member('op').string(),
      };
    }),
  };
}
