import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { JAILBUILD } from '../support/cli.js';
import type { JobTrial } from './driver.js';

/**
 * Shows the host to a job that may write anywhere: an overlay in a mount namespace, with the job's
 * directory at /w and an empty /tmp. Arguments: directory, work directory, project, uid, gid, `own`
 * for a network namespace of its own, and a command.
 */
const VIEW = `
set -e
own=$1 work=$2 project=$3 uid=$4 gid=$5 network=$6; shift 6
mount -t tmpfs tmpfs "$own/view"
mkdir "$own/view/upper" "$own/view/work" "$own/view/root"
cd "$own/view"
mount -t overlay overlay -o "lowerdir=/,upperdir=$own/view/upper,workdir=$own/view/work" root
for at in proc dev sys; do mount --rbind "/$at" "root/$at"; done
mount -t tmpfs -o mode=1777 tmpfs root/tmp
mkdir -p root/w "root$project" "root$own"
if [ -d /tmp/.X11-unix ]; then mkdir root/tmp/.X11-unix; mount --bind /tmp/.X11-unix root/tmp/.X11-unix; fi
mount --bind "$work" root/w
mount --rbind "$project" "root$project"
mount --bind "$own" "root$own"
if [ "$network" = own ]; then ip link set lo up; fi
cd root
exec chroot . setpriv --reuid "$uid" --regid "$gid" --clear-groups sh -c 'cd /w && exec "$@"' sh "$@"
`;

/** The package of the command line, in a place that users can access. */
const PACKAGE = path.resolve(JAILBUILD, '../..');

/** The variables that `run` sets for a command. */
const ENVIRONMENT = ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', 'HOME=/'];

/** Returns a command line that traces a job on the host, in the same environment as in its jail. */
export function hostTrace(trial: JobTrial, file: string) {
  return (options: readonly string[], command: readonly string[]): string[] => {
    const view = path.join(trial.directory, 'view');
    mkdirSync(view, { recursive: true });
    const { uid, gid } = trial.user;
    const display = options.filter((option) => option.startsWith('DISPLAY='));
    const network = trial.job.display ? [] : ['--net'];
    return [
      ...['unshare', '--mount', '--propagation', 'private', ...network],
      // Processes that a job leaves running end with it, as in a jail.
      ...['--pid', '--fork', '--kill-child', '--mount-proc', 'sh', '-c'],
      ...[VIEW, 'sh'],
      ...[trial.directory, trial.work, PACKAGE, String(uid), String(gid)],
      trial.job.display ? 'shared' : 'own',
      ...['env', '-i', ...ENVIRONMENT, ...display],
      ...[process.execPath, JAILBUILD, 'trace', '-q', '-o', file, '--', ...command],
    ];
  };
}
