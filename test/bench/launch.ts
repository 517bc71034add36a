import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { execArguments } from '../../src/launcher/exec.js';
import { locateLauncher } from '../../src/launcher/locate.js';
import { launcherArguments } from '../../src/launcher/options.js';
import { type RunningJail, runningJails } from '../../src/launcher/running.js';
import { JAILBUILD, PROJECT } from '../support/cli.js';
import { COMMAND, roundsOf } from './compare.js';
import { printGoals } from './goals.js';
import { compile, inTurn, middle } from './stopwatch.js';

const ROUNDS = roundsOf(100);
/** A network takes a hundred times as long as the launcher. */
const OPTION_ROUNDS = roundsOf(20);
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
    const title = 'launch of a static program';
    time(scratch, title, launches(scratch, jail, built, bundle), ROUNDS);
    await timeOptions(scratch, jail, built);
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
      name: 'jailbuild run, --network none',
      command: [...COMMAND, 'run', built, '--network', 'none', '--', '/true'],
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

/** Commands of the same work with an option and without: an overlay, a running jail, an outgoing network. */
async function timeOptions(scratch: string, jail: string, built: string): Promise<void> {
  const words = launcherArguments(jail, { isolateNetwork: true }, ['/wait']);
  const sleeping = spawn(LAUNCHER, words, { stdio: 'ignore' });
  let running: RunningJail | undefined;
  for (let tries = 0; running === undefined && tries < 500; tries++) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    running = runningJails(process.getuid?.()).find(({ pid }) => pid === sleeping.pid);
  }
  if (running === undefined) throw new Error('the jail to enter does not start');
  // What bwrap leaves to its user: to start slirp4netns once the namespace is there.
  const slirp = path.join(scratch, 'bwrap-slirp4netns');
  writeFileSync(
    slirp,
    // Open for reading throughout: a signal would end bwrap, which writes its information in parts.
    `mkfifo $1/info $1/block $1/ready; exec 5<> $1/block 6<> $1/ready 7<> $1/info
    bwrap --bind $2 / --proc /proc --dev /dev --unshare-all --info-fd 7 --block-fd 5 /true &
    while read -r line; do [[ $line =~ child-pid[^0-9]*([0-9]+) ]] && break; done <&7
    slirp4netns --configure --disable-host-loopback --ready-fd 6 \${BASH_REMATCH[1]} tap0 > /dev/null 2>&1 & helper=$!
    read -r -n 1 _ <&6; echo >&5; wait %1; status=$?; kill $helper; wait $helper
    rm $1/info $1/block $1/ready; exit $status`,
  );
  const bwrap = ['bwrap', '--proc', '/proc', '--dev', '/dev', '--unshare-all'];
  // With a record, by which runs need not start Node.
  const run = [...COMMAND, 'run', built, '--network'];
  try {
    time(
      scratch,
      'launch with options',
      [
        {
          name: 'invoke_ns',
          command: [LAUNCHER, ...launcherArguments(jail, { isolateNetwork: true }, ['/true'])],
        },
        {
          name: 'invoke_ns, with an overlay',
          command: [
            LAUNCHER,
            ...launcherArguments(jail, { isolateNetwork: true, overlay: 'tmpfs' }, ['/true']),
          ],
        },
        { name: 'bwrap', command: [...bwrap, '--bind', jail, '/', '/true'] },
        {
          name: 'bwrap, with an overlay',
          command: [
            ...bwrap.slice(0, 1),
            '--overlay-src',
            jail,
            '--tmp-overlay',
            '/',
            ...bwrap.slice(1),
            '/true',
          ],
        },
        {
          name: 'invoke_ns, in a running jail',
          command: [LAUNCHER, ...execArguments(running, ['/true'], {})],
        },
        {
          name: 'nsenter, in a running jail',
          command: ['nsenter', '-t', String(running.entry), '-a', '-r', '/true'],
        },
        {
          name: 'jailbuild exec, in a running jail',
          command: [...COMMAND, 'exec', String(running.pid), '--', '/true'],
        },
        { name: 'jailbuild run, no network', command: [...run, 'none', '--', '/true'] },
        {
          name: 'jailbuild run, with an overlay',
          command: [...run, 'none', '--overlay', 'tmpfs', '--', '/true'],
        },
        {
          name: 'jailbuild run, outgoing network',
          command: [...run, 'slirp4netns', '--', '/true'],
        },
        { name: 'bwrap and slirp4netns', command: ['bash', slirp, scratch, jail] },
      ],
      OPTION_ROUNDS,
    );
  } finally {
    sleeping.kill('SIGKILL');
  }
}

function time(scratch: string, title: string, contenders: readonly Launch[], rounds: number): void {
  // crun refuses mixed control groups, so that all contenders see only version 2.
  const script = 'mount -t cgroup2 none /sys/fs/cgroup && exec "$@"';
  const commands = contenders.map(({ command }) => command);
  const laps = inTurn(commands, rounds, scratch, ['unshare', '-m', 'sh', '-c', script, 'sh']);
  console.log(`\n${title} (median of ${rounds} interleaved runs)`);
  const [first] = middle(laps[0]?.times ?? []);
  for (const [i, { name }] of contenders.entries()) {
    const { times = [], processor = [], failed = true } = laps[i] ?? {};
    if (failed) {
      console.log(`  ${name.padEnd(38)} not measured: it fails`);
      continue;
    }
    const [median, least] = middle(times);
    const ratio = (median / first).toFixed(2);
    console.log(
      `  ${name.padEnd(38)} ${median.toFixed(0).padStart(7)} µs   least ${least.toFixed(0).padStart(7)}   ${ratio.padStart(6)} x   CPU ${middle(processor)[0].toFixed(0).padStart(7)} µs`,
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
