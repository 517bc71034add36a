import { statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import packageJson from '../../package.json' with { type: 'json' };

/** Returns the version and the identity of the program file: development builds share a version. */
export function program(): string {
  const { size, mtimeMs } = statSync(fileURLToPath(import.meta.url));
  return `${packageJson.version} ${size} ${mtimeMs}`;
}

/** Returns whether {@link program} identifies all of the program, as it does not in a tree of sources. */
export function isOneFile(): boolean {
  return !import.meta.url.endsWith('.ts');
}

/** Returns what else a result depends on that was read from files: users may read different ones. */
export function programAndUser(): string {
  const groups = process.getgroups?.() ?? [];
  return [program(), [process.geteuid?.(), process.getegid?.(), ...groups].join(' ')].join('\n');
}
