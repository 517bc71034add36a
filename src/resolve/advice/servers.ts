import { sourceOf } from '../../evidence/packages/package.js';
import { baseName } from '../../text/base-name.js';
import { usersOf } from '../usage/configured-users.js';
import type { AdvisedProgram } from './advised-program.js';
import type { AdviceContext } from './context.js';

/** Advises on an absent directory of configuration that has the name of a server. */
export function adviseOnServerConfiguration(program: AdvisedProgram, context: AdviceContext): void {
  const [own] = program.owners;
  if (own === undefined || !program.isSystemServer) return;
  const directory = `/etc/${baseName(program.trace.path)}`;
  const isWanted = (file: string) =>
    file.startsWith(`${directory}/`) && context.lacks.isAbsent(file);
  if (!context.filesOf(own).some(isWanted)) return;
  const text = `${program.name} is a server with configuration in ${directory}, from ${own.name}`;
  program.add(3, 'data', text, ['--with-package']);
}

/** Advises on a secret of the host that a server names, in a directory of its own source package. */
export function adviseOnSecrets(program: AdvisedProgram, context: AdviceContext): void {
  const { packages, jail } = context;
  if (packages === undefined || !program.isSystemServer) return;
  const secrets = program.named.filter(
    ({ trace }) =>
      /^\/(etc|var\/lib)\/[^/]+\//.test(trace.path) &&
      trace.stat.type === 'file' &&
      (trace.stat.mode & 0o004) === 0 &&
      !jail.has(trace.path),
  );
  if (secrets.length === 0) return;
  const parentOf = (file: string) => file.replace(/\/[^/]+$/, '');
  const byPath = packages.database.ownersOf(secrets.map(({ trace }) => parentOf(trace.path)));
  const secret = secrets.find(({ trace }) =>
    byPath.get(parentOf(trace.path))?.some((owner) => program.sources.has(sourceOf(owner))),
  )?.trace.path;
  if (secret === undefined) return;
  const text = `${program.name} names ${secret}, which is not world-readable`;
  program.add(3, 'data', text, ['--include', secret]);
}

/** Advises on users that a program looks up, and that the jail lacks. */
export function adviseOnUsers(program: AdvisedProgram, context: AdviceContext): void {
  const { jail, services } = context;
  for (const { name, by } of usersOf(services, jail, program, program.owners)) {
    if (jail.hasUser(name)) continue;
    const text = `${by} names the user ${name}, which the jail lacks`;
    program.add(3, 'user', text, ['--user', name]);
  }
}
