/** Every capability of Linux 6.x in the order of its number (capabilities(7)), without `cap_`. */
export const CAPABILITIES: readonly string[] = [
  ...['chown', 'dac_override', 'dac_read_search', 'fowner', 'fsetid', 'kill', 'setgid', 'setuid'],
  ...['setpcap', 'linux_immutable', 'net_bind_service', 'net_broadcast', 'net_admin', 'net_raw'],
  ...['ipc_lock', 'ipc_owner', 'sys_module', 'sys_rawio', 'sys_chroot', 'sys_ptrace', 'sys_pacct'],
  ...['sys_admin', 'sys_boot', 'sys_nice', 'sys_resource', 'sys_time', 'sys_tty_config', 'mknod'],
  ...['lease', 'audit_write', 'audit_control', 'setfcap', 'mac_override', 'mac_admin', 'syslog'],
  ...['wake_alarm', 'block_suspend', 'audit_read', 'perfmon', 'bpf', 'checkpoint_restore'],
];

/** Flags of the `magic_etc` word (linux/capability.h). */
const VFS_CAP_FLAGS_EFFECTIVE = 1;
/**
 * `magic_etc`, then permitted and inheritable twice, 32 bits each. Revision 3 appends a user ID.
 */
const REVISION_2_SIZE = 20;

/**
 * Formats file capabilities as getcap(8) does, such as `cap_net_raw=ep`.
 *
 * @param value the base64 of `security.capability`, revision 2 or 3 (capabilities(7))
 * @returns `capabilities` for a shorter value
 */
export function capabilityText(value: string): string {
  const bytes = Buffer.from(value, 'base64');
  if (bytes.length < REVISION_2_SIZE) return 'capabilities';
  const word = (at: number) => BigInt(bytes.readUInt32LE(at));
  const permitted = word(4) | (word(12) << 32n);
  const inheritable = word(8) | (word(16) << 32n);
  const isEffective = (bytes.readUInt32LE(0) & VFS_CAP_FLAGS_EFFECTIVE) !== 0;
  const byFlags = new Map<string, string[]>();
  CAPABILITIES.forEach((name, number) => {
    const [isPermitted, isInheritable] = [permitted, inheritable].map(
      (set) => ((set >> BigInt(number)) & 1n) === 1n,
    );
    const flags = `${isEffective ? 'e' : ''}${isInheritable ? 'i' : ''}${isPermitted ? 'p' : ''}`;
    if (!isPermitted && !isInheritable) return;
    byFlags.set(flags, [...(byFlags.get(flags) ?? []), `cap_${name}`]);
  });
  return [...byFlags].map(([flags, names]) => `${names.join(',')}=${flags}`).join(' ');
}
