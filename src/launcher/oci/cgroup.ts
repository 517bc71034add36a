import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { JailbuildError, strerror } from '../../errors.js';
import type { OciLinux, OciResources } from './spec.js';

const TOP = '/sys/fs/cgroup';

/** Returns whether only cgroup version 2 is mounted (cgroups(7)). */
function isUnified(): boolean {
  return existsSync(path.join(TOP, 'cgroup.controllers'));
}

/** Returns the directories of version 1 hierarchies, each of which may have several controllers. */
function hierarchies(): readonly string[] {
  return readdirSync(TOP).filter(
    (name) => name !== 'unified' && existsSync(path.join(TOP, name, 'cgroup.procs')),
  );
}

/**
 * Makes the cgroup of a container in each hierarchy, with its limits.
 *
 * @returns the directories; none if they may not be made and nothing is limited
 * @throws JailbuildError USAGE, WRITE_FAILED
 */
export function makeCgroups(id: string, linux: OciLinux): readonly string[] {
  const given = linux.cgroupsPath ?? `/jailbuild/${id}`;
  if (/^[^/]*:[^/]*:[^/]*$/.test(given))
    throw new JailbuildError(
      'USAGE',
      `config.json: linux.cgroupsPath ${given} is for systemd, which is not supported: use cgroupfs (--cgroup-manager)`,
    );
  const relative = path.posix.resolve('/', given);
  const resources = linux.resources ?? {};
  const made = (isUnified() ? ['.'] : hierarchies()).map((name) => path.join(TOP, name, relative));
  const fresh: string[] = [];
  try {
    for (const directory of made) {
      if (mkdirSync(directory, { recursive: true }) !== undefined) fresh.push(directory);
      prepareCgroup(directory, isUnified());
    }
    for (const [file, value] of limitsOf(resources)) writeLimit(made, file, value);
    if (!isUnified()) allowDevices(made, resources);
  } catch (error) {
    for (const directory of fresh) rmdirSync(directory);
    if (error instanceof JailbuildError) throw error;
    if (isLimited(resources) || isInitialRoot())
      throw new JailbuildError('WRITE_FAILED', `cgroup ${relative}: ${strerror(error)}`);
    return [];
  }
  return made;
}

/** The inode of the initial user namespace (the kernel's include/linux/proc_ns.h, PROC_USER_INIT_INO). */
const INITIAL_USER_NAMESPACE = 0xeffffffd;

/** Returns whether the caller is root outside of user namespaces; podman's users are root within one. */
function isInitialRoot(): boolean {
  return process.geteuid?.() === 0 && statSync('/proc/self/ns/user').ino === INITIAL_USER_NAMESPACE;
}

/** Makes the controllers of those above available in a new cgroup. */
function prepareCgroup(directory: string, unified: boolean): void {
  const parent = path.dirname(directory);
  if (unified) {
    const names = readFileSync(path.join(TOP, 'cgroup.controllers'), 'utf8').trim().split(' ');
    const between = path.relative(TOP, parent).split('/').filter(Boolean);
    for (let depth = 0; depth <= between.length; depth++) {
      const file = path.join(TOP, ...between.slice(0, depth), 'cgroup.subtree_control');
      writeFileSync(file, names.map((name) => `+${name}`).join(' '));
    }
    return;
  }
  // A new cpuset is empty and accepts no process until it has CPUs and memory nodes.
  const between = path.relative(TOP, directory).split('/');
  for (let depth = 2; depth <= between.length; depth++)
    for (const file of ['cpuset.cpus', 'cpuset.mems']) {
      const [own, above] = [depth, depth - 1].map((end) =>
        path.join(TOP, ...between.slice(0, end), file),
      );
      if (own && above && existsSync(own) && readFileSync(own, 'utf8').trim() === '')
        writeFileSync(own, readFileSync(above));
    }
}

function isLimited({ memory, pids, cpu, unified }: OciResources): boolean {
  const given = [...Object.values(memory ?? {}), ...Object.values(cpu ?? {}), pids?.limit];
  return unified !== undefined || given.some(Boolean);
}

/**
 * Returns the limit files of both versions with their values; files missing in a hierarchy belong to the other version.
 */
function limitsOf({
  memory,
  pids,
  cpu,
  unified = {},
}: OciResources): [file: string, value: string][] {
  const some = (value: number | undefined): value is number => value !== undefined && value !== 0;
  const amount = (value: number): string =>
    value < 0 ? (isUnified() ? 'max' : '-1') : String(value);
  const limits: [string, string][] = [];
  if (isUnified()) {
    // Version 2 has no equivalent.
    for (const name of ['swappiness', 'disableOOMKiller'] as const)
      if (memory?.[name])
        throw new JailbuildError(
          'USAGE',
          `config.json: linux.resources.memory.${name} is not supported with cgroup version 2`,
        );
    if (some(memory?.limit)) limits.push(['memory.max', amount(memory.limit)]);
    if (some(memory?.swap) && some(memory.limit))
      limits.push(['memory.swap.max', amount(memory.swap < 0 ? -1 : memory.swap - memory.limit)]);
    if (some(memory?.reservation)) limits.push(['memory.low', amount(memory.reservation)]);
    if (some(cpu?.quota) || some(cpu?.period))
      limits.push(['cpu.max', `${amount(cpu?.quota ?? -1)} ${cpu?.period ?? 100_000}`]);
    // The kernel's conversion of shares, as used by other runtimes.
    if (some(cpu?.shares))
      limits.push(['cpu.weight', String(Math.floor(1 + ((cpu.shares - 2) * 9999) / 262_142))]);
    limits.push(...Object.entries(unified));
  } else {
    if (some(memory?.limit)) limits.push(['memory.limit_in_bytes', amount(memory.limit)]);
    if (some(memory?.swap)) limits.push(['memory.memsw.limit_in_bytes', amount(memory.swap)]);
    if (some(memory?.reservation))
      limits.push(['memory.soft_limit_in_bytes', amount(memory.reservation)]);
    if (memory?.swappiness !== undefined)
      limits.push(['memory.swappiness', String(memory.swappiness)]);
    if (memory?.disableOOMKiller) limits.push(['memory.oom_control', '1']);
    if (some(cpu?.period)) limits.push(['cpu.cfs_period_us', String(cpu.period)]);
    if (some(cpu?.quota)) limits.push(['cpu.cfs_quota_us', String(cpu.quota)]);
    if (some(cpu?.shares)) limits.push(['cpu.shares', String(cpu.shares)]);
  }
  if (cpu?.cpus) limits.push(['cpuset.cpus', cpu.cpus]);
  if (cpu?.mems) limits.push(['cpuset.mems', cpu.mems]);
  if (some(pids?.limit)) limits.push(['pids.max', pids.limit < 0 ? 'max' : String(pids.limit)]);
  return limits;
}

function writeLimit(made: readonly string[], file: string, value: string): void {
  const directory = made.find((each) => existsSync(path.join(each, file)));
  // Without swap accounting, the kernel has no such file and allows no swap beyond the limit.
  if (directory === undefined && /swap|memsw/.test(file)) return;
  if (directory === undefined) throw new Error(`there is no ${file} here`);
  writeFileSync(path.join(directory, file), value);
}

/** Device access of every container (runtime-spec, config-linux.md): mknod, and these devices. */
const USABLE = [
  ...['c *:* m', 'b *:* m', 'c 1:3 rwm', 'c 1:5 rwm', 'c 1:7 rwm', 'c 1:8 rwm', 'c 1:9 rwm'],
  ...['c 5:0 rwm', 'c 5:1 rwm', 'c 5:2 rwm', 'c 136:* rwm'],
];

function allowDevices(made: readonly string[], { devices = [] }: OciResources): void {
  const directory = made.find((each) => existsSync(path.join(each, 'devices.deny')));
  if (directory === undefined || devices.length === 0) return;
  const number = (value: number | undefined): string =>
    value === undefined || value < 0 ? '*' : String(value);
  for (const { allow, type = 'a', major, minor, access = 'rwm' } of devices) {
    const isAll = type === 'a' && major === undefined && minor === undefined;
    const rule = isAll ? 'a' : `${type} ${number(major)}:${number(minor)} ${access}`;
    writeFileSync(path.join(directory, allow ? 'devices.allow' : 'devices.deny'), rule);
  }
  for (const rule of USABLE) writeFileSync(path.join(directory, 'devices.allow'), rule);
}

/** Returns mounts that show the container's own cgroups in /sys/fs/cgroup. */
export function ownCgroupMounts(made: readonly string[], at: string, readOnly: boolean): string[] {
  const words = ['nosuid', 'noexec', 'nodev', ...(readOnly ? ['ro'] : [])].join(',');
  if (isUnified()) return ['--filesystem', `cgroup2:${at}:${words}`];
  return [
    ...['--filesystem', `tmpfs:${at}:nosuid,noexec,nodev,mode=755`],
    ...made.flatMap((directory) => {
      const name = path.relative(TOP, directory).split('/')[0] ?? '';
      return ['--bind', `${directory}:${at}/${name}:${words}`];
    }),
  ];
}

/** Returns the processes in the cgroups of a container. */
export function processesIn(made: readonly string[]): readonly number[] {
  const [first] = made;
  if (first === undefined) return [];
  try {
    const text = readFileSync(path.join(first, 'cgroup.procs'), 'utf8');
    return text.split('\n').filter(Boolean).map(Number);
  } catch {
    return [];
  }
}

/** Removes the cgroups of a container; each is busy until the kernel has ended the last process. */
export async function removeCgroups(made: readonly string[]): Promise<void> {
  for (const directory of made) {
    for (let tries = 0; existsSync(directory) && tries < 100; tries++) {
      try {
        rmdirSync(directory);
      } catch {
        await wait(5);
      }
    }
  }
}
