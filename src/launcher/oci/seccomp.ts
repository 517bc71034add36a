import { writeFile } from 'node:fs/promises';
import { JailbuildError } from '../../errors.js';
import { nativeProgram } from '../../fs/native-program.js';
import { outsideProgram } from '../../fs/outside-program.js';
import type { OciSeccomp } from './spec.js';

/**
 * Writes the filter of a profile in binary form. A separate program generates it with libseccomp, which knows the
 * system calls of every machine: neither a parser nor that library belongs in the privileged launcher.
 *
 * @param name name of the profile in messages
 * @throws JailbuildError USAGE, LAUNCHER_MISSING
 */
export async function compileProfile(
  profile: OciSeccomp,
  file: string,
  name = 'config.json: linux.seccomp',
): Promise<void> {
  const { found, expected } = nativeProgram('seccomp_compile');
  if (profile.listenerPath || profile.syscalls?.some(({ action }) => action === 'SCMP_ACT_NOTIFY'))
    throw new JailbuildError('USAGE', `${name}: a filter with a listener is not supported`);
  if (found === undefined)
    throw new JailbuildError(
      'LAUNCHER_MISSING',
      `${name}: a profile needs ${expected}, which is not built: install libseccomp-dev and run npm run build`,
      expected,
    );
  const run = await outsideProgram();
  const { stdout, stderr, exitCode } = await run(found, [], {
    input: profileLines(profile).join('\n'),
    encoding: 'buffer',
    reject: false,
    stripFinalNewline: false,
  });
  if (exitCode !== 0) throw new JailbuildError('USAGE', `${name}: ${Buffer.from(stderr)}`.trim());
  await writeFile(file, stdout, { mode: 0o600 });
}

/** Returns the lines that seccomp_compile reads. */
export function profileLines(profile: OciSeccomp): string[] {
  const action = (name: string, number: number | undefined): string =>
    number === undefined || !/_(ERRNO|TRACE)$/.test(name) ? name : `${name}:${number}`;
  const machines = (profile.architectures ?? []).map(
    (name) => `arch ${name.replace('SCMP_ARCH_', '').toLowerCase()}`,
  );
  const rules = (profile.syscalls ?? []).flatMap(({ names, action: does, errnoRet, args }) =>
    names.map((name) => {
      const comparisons = (args ?? []).map(
        ({ index, op, value, valueTwo = 0 }) => `${index} ${op} ${value} ${valueTwo}`,
      );
      return ['rule', action(does, errnoRet), name, ...comparisons].join(' ');
    }),
  );
  return [
    `default ${action(profile.defaultAction, profile.defaultErrnoRet)}`,
    ...machines,
    ...rules,
    '',
  ];
}
