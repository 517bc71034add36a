import { readFileSync } from 'node:fs';
import type { ResourceLimit } from './options.js';

/** Names of resources in /proc/self/limits (proc_pid_limits(5)). */
const TITLES: Readonly<Record<string, string>> = {
  as: 'Max address space',
  core: 'Max core file size',
  cpu: 'Max cpu time',
  data: 'Max data size',
  fsize: 'Max file size',
  locks: 'Max file locks',
  memlock: 'Max locked memory',
  msgqueue: 'Max msgqueue size',
  nice: 'Max nice priority',
  nofile: 'Max open files',
  nproc: 'Max processes',
  rss: 'Max resident set',
  rtprio: 'Max realtime priority',
  rttime: 'Max realtime timeout',
  sigpending: 'Max pending signals',
  stack: 'Max stack size',
};

/** Returns the limit, capped at this process's own hard limit (setrlimit(2)). */
export function noHigherThanOwn({ name, soft, hard }: ResourceLimit): ResourceLimit {
  const own = ownHardLimit(name);
  return { name, soft: lower(soft, own), hard: lower(hard, own) };
}

function ownHardLimit(name: string): ResourceLimit['hard'] {
  const title = TITLES[name] ?? name;
  const line = readFileSync('/proc/self/limits', 'utf8')
    .split('\n')
    .find((text) => text.startsWith(`${title} `));
  const hard = line?.slice(title.length).trim().split(/\s+/)[1];
  if (hard === undefined) return 0;
  return hard === 'unlimited' ? hard : Number(hard);
}

function lower(one: ResourceLimit['hard'], other: ResourceLimit['hard']): ResourceLimit['hard'] {
  if (one === 'unlimited') return other;
  return other === 'unlimited' ? one : Math.min(one, other);
}
