import { isTrace, type Sysroot, type Trace } from '../../fs/sysroot.js';
import { baseName } from '../../text/base-name.js';

/** Where PAM finds what each service requires (pam.d(5)). */
export const PAM = '/etc/pam.d';
/** The library that reads it. */
export const PAM_LIBRARY = /\/libpam\.so\.[^/]+$/;
/** What PAM takes for a service without a file. */
const OTHER = 'other';
/** Matches a line of a file: its control, and a module or the name of another file. */
const LINE = /^-?(?:auth|account|password|session)\s+(\[[^\]]*\]|\S+)\s+(\S+)/;
const INCLUDE = /^@include\s+(\S+)/;

/** What a program needs to authenticate. */
export interface PamFiles {
  readonly configuration: readonly Trace[];
  readonly modules: readonly Trace[];
}

/**
 * Returns the files of services, those that they include, and the modules that they name
 * (pam.d(5)). Modules that do not exist are left out: PAM ignores optional ones.
 *
 * @param services names of files in {@link PAM}
 * @param library the path of libpam, beside whose directory `security` relative modules are
 */
export function pamFiles(sysroot: Sysroot, services: Iterable<string>, library: string): PamFiles {
  const directory = library.slice(0, library.length - baseName(library).length);
  const files = new Set([...services, OTHER]);
  const configuration: Trace[] = [];
  const modules = new Set<string>();
  for (const name of files) {
    const found = name.includes('/') ? undefined : sysroot.trace(`${PAM}/${name}`);
    if (found === undefined || !isTrace(found) || found.stat.type !== 'file') continue;
    if ((found.stat.mode & 0o004) === 0) continue;
    configuration.push(found);
    for (const line of sysroot.probe.readText(found).replaceAll('\\\n', ' ').split('\n')) {
      const [, included] = INCLUDE.exec(line) ?? [];
      if (included !== undefined) files.add(included);
      const [, control = '', named = ''] = LINE.exec(line) ?? [];
      if (control === 'include' || control === 'substack') files.add(named);
      else if (named !== '') {
        modules.add(named.startsWith('/') ? named : `${directory}security/${named}`);
      }
    }
  }
  const traces = [...modules].map((path) => sysroot.trace(path));
  return {
    configuration,
    modules: traces.filter(isTrace).filter(({ stat }) => stat.type === 'file'),
  };
}
