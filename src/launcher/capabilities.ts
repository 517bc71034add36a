import { JailbuildError } from '../errors.js';
import { type CapabilityChoice, DEFAULT_CAPABILITIES } from './options.js';

/** Every capability of Linux 6.x in the order of its number (capabilities(7)), without `cap_`. */
export const CAPABILITIES: readonly string[] = [
  ...['chown', 'dac_override', 'dac_read_search', 'fowner', 'fsetid', 'kill', 'setgid', 'setuid'],
  ...['setpcap', 'linux_immutable', 'net_bind_service', 'net_broadcast', 'net_admin', 'net_raw'],
  ...['ipc_lock', 'ipc_owner', 'sys_module', 'sys_rawio', 'sys_chroot', 'sys_ptrace', 'sys_pacct'],
  ...['sys_admin', 'sys_boot', 'sys_nice', 'sys_resource', 'sys_time', 'sys_tty_config', 'mknod'],
  ...['lease', 'audit_write', 'audit_control', 'setfcap', 'mac_override', 'mac_admin', 'syslog'],
  ...['wake_alarm', 'block_suspend', 'audit_read', 'perfmon', 'bpf', 'checkpoint_restore'],
];

/**
 * The default capabilities, with some more and some less. `ALL` among those to drop empties the set
 * before anything is added; among those to add it fills the set before anything is dropped. What is added
 * by its name is for users other than root as well.
 *
 * @param add names with or without `CAP_`, in any case
 * @throws JailbuildError USAGE
 */
export function chooseCapabilities(
  add: readonly string[],
  drop: readonly string[],
): CapabilityChoice {
  const [added, dropped] = [parse('--cap-add', add), parse('--cap-drop', drop)];
  let base = DEFAULT_CAPABILITIES;
  if (added.has('all')) base = CAPABILITIES;
  if (dropped.has('all')) base = [];
  const wanted = new Set([...base, ...added]);
  const bounding = CAPABILITIES.filter((name) => wanted.has(name) && !dropped.has(name));
  return { bounding, ambient: bounding.filter((name) => added.has(name)) };
}

function parse(option: string, names: readonly string[]): Set<string> {
  return new Set(
    names
      .flatMap((text) => text.split(','))
      .map((text) => {
        const name = text.toLowerCase().replace(/^cap_/, '');
        if (name === 'all' || CAPABILITIES.includes(name)) return name;
        throw new JailbuildError('USAGE', `${option} ${text}: no such capability`);
      }),
  );
}
