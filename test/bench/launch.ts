import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { locateLauncher } from '../../src/launcher/locate.js';
import { launcherArguments } from '../../src/launcher/options.js';
import { JAILBUILD, PROJECT } from '../support/cli.js';
import { COMMAND, roundsOf } from './compare.js';
import { printGoals } from './goals.js';
import { compile, inTurn, middle } from './stopwatch.js';

const ROUNDS = roundsOf(100);
/** The program itself, as jailbuild run starts it; the script of the same name first locates it. */
const LAUNCHER = locateLauncher();

interface Launch {
  readonly name: string;
  readonly command: readonly string[];
}

/** The start of a static program that does nothing, in a jail, by the launcher and by others. */
export async function benchLaunch(): Promise<void> {
  const scratch = mkdtempSync('/srv/jailbuild-bench-');
  try {
    const jail = path.join(scratch, 'jail');
    for (const name of ['proc', 'dev']) mkdirSync(path.join(jail, name), { recursive: true });
    compile(path.join(PROJECT, 'test/bench/bound.c'), path.join(scratch, 'bound'));
    compile('-', path.join(jail, 'true'), 'int main(void) { return 0; }');
    compile('-', path.join(jail, 'wait'), '#include <unistd.h>\nint main(void) { pause(); }');
    const bundle = path.join(scratch, 'bundle');
    spawnSync(process.execPath, [
      ...[JAILBUILD, 'run', jail, '--network', 'none', '--oci-bundle', bundle, '--', '/true'],
    ]);
    // One of jailbuild's own, with a record, and the same program.
    const built = path.join(scratch, 'built');
    spawnSync(process.execPath, [
      JAILBUILD,
      built,
      path.join(jail, 'true'),
      '--include',
      `${jail}/true:/true`,
      '-q',
    ]);
    time(scratch, launches(scratch, jail, built, bundle));
    await memory(jail);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

function launches(scratch: string, jail: string, built: string, bundle: string): Launch[] {
  const bwrap = ['bwrap', '--bind', jail, '/', '--proc', '/proc'];
  const defaults = launcherArguments(jail, { isolateNetwork: true }, ['/true']);
  return [
    { name: 'only the system calls', command: [`${scratch}/bound`, jail, '/true'] },
    {
      name: 'invoke_ns, the same work',
      command: [LAUNCHER, '-pmn', '-u', 'jail', '--ipc', '-c', jail, '/true'],
    },
    {
      name: 'unshare(1), the same work',
      command: ['unshare', '-muinpf', `--root=${jail}`, '--mount-proc', '/true'],
    },
    {
      name: 'bwrap, the same work',
      command: [
        ...[...bwrap, '--unshare-pid', '--unshare-uts', '--hostname', 'jail', '--unshare-ipc'],
        ...['--unshare-net', '--as-pid-1', '/true'],
      ],
    },
    { name: 'invoke_ns, defaults of run', command: [LAUNCHER, ...defaults] },
    {
      name: 'bwrap, with /dev and all namespaces',
      command: [
        ...[...bwrap, '--dev', '/dev', '--unshare-all', '--hostname', 'jail', '--new-session'],
        ...['--die-with-parent', '--clearenv', '--cap-drop', 'ALL', '/true'],
      ],
    },
    {
      name: 'crun, the bundle of run',
      command: [
        ...['crun', '--root', `${scratch}/crun`, '--cgroup-manager=disabled'],
        ...['run', '--bundle', bundle, `bench-${process.pid}`],
      ],
    },
    {
      name: 'jailbuild run, with an option',
      command: [...COMMAND, 'run', jail, '--network', 'none', '--', '/true'],
    },
    { name: 'jailbuild run', command: [...COMMAND, 'run', built, '--', '/true'] },
    {
      name: 'bwrap, as jailbuild run',
      command: [
        ...['bwrap', '--bind', built, '/', '--proc', '/proc', '--dev', '/dev', '--unshare-ipc'],
        ...['--unshare-pid', '--unshare-uts', '--unshare-cgroup', '--hostname', 'jail'],
        ...['--tmpfs', '/.jailbuild', '--clearenv', '--cap-drop', 'ALL', '/true'],
      ],
    },
  ];
}

const LIMITS = [
  ['jailbuild run', 'bwrap, as jailbuild run', 1.5],
  ['invoke_ns, the same work', 'only the system calls', 1],
  ['invoke_ns, the same work', 'bwrap, the same work', 0.5],
] as const;

function time(scratch: string, contenders: readonly Launch[]): void {
  // crun refuses mixed control groups, so that all contenders see only version 2.
  const script = 'mount -t cgroup2 none /sys/fs/cgroup && exec "$@"';
  const commands = contenders.map(({ command }) => command);
  const laps = inTurn(commands, ROUNDS, scratch, ['unshare', '-m', 'sh', '-c', script, 'sh']);
  console.log(`\nlaunch of a static program (median of ${ROUNDS} interleaved runs)`);
  const [first] = middle(laps[0]?.times ?? []);
  for (const [i, { name }] of contenders.entries()) {
    const { times = [], failed = true } = laps[i] ?? {};
    if (failed) {
      console.log(`  ${name.padEnd(38)} not measured: it fails`);
      continue;
    }
    const [median, least] = middle(times);
    const ratio = (median / first).toFixed(2);
    console.log(
      `  ${name.padEnd(38)} ${median.toFixed(0).padStart(7)} µs   least ${least.toFixed(0).padStart(7)}   ${ratio.padStart(6)} x`,
    );
  }
  printGoals(
    contenders.map(({ name }, i) => ({ name, times: laps[i]?.times ?? [], processor: Number.NaN })),
    LIMITS.map(([of, to, wall]) => ({ of, to, wall })),
  );
}

/** Resident memory while the launcher waits for a command. */
async function memory(jail: string): Promise<void> {
  const launcher = spawn(LAUNCHER, ['-v', ...launcherArguments(jail, {}, ['/wait'])], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let said = '';
  for await (const chunk of launcher.stdout) {
    said += chunk;
    if (said.includes('executing')) break;
  }
  const init = Number(/PID of the child is (\d+)/.exec(said)?.[1]);
  await new Promise((resolve) => setTimeout(resolve, 200));
  console.log('\nmemory while a command runs');
  for (const [name, pid] of [
    ['the waiting launcher', launcher.pid],
    ['the init of the jail', init],
  ]) {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    const field = (key: string): string =>
      new RegExp(`^${key}:\\s+(.*)$`, 'm').exec(status)?.[1] ?? '';
    console.log(`  ${name}: ${field('VmRSS')} resident, of which anonymous ${field('RssAnon')}`);
  }
  launcher.kill('SIGKILL');
}
