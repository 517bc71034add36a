import { isTrace, type Sysroot } from '../fs/sysroot.js';
import type { ContainerConfig } from './source-image.js';

/** What an image's command needs beyond libraries, in the terms of a request. */
export interface SlimRequest {
  readonly programs: readonly string[];
  readonly include: readonly string[];
  /** PATH of the image. */
  readonly path?: readonly string[];
  readonly warnings: readonly string[];
}

const SHELL = /(^|\/)(sh|bash|dash|ash|zsh)$/;

/**
 * Determines what an image runs: its entrypoint and command. Includes files named by their arguments, and accounts if
 * the user is given by name.
 */
export function slimRequest(config: ContainerConfig, root: Sysroot): SlimRequest {
  const words = [...(config.Entrypoint ?? []), ...(config.Cmd ?? [])];
  const [first] = words;
  const isFile = (path: string): boolean => {
    const found = root.trace(path);
    return isTrace(found) && found.stat.type === 'file';
  };
  const workdir = config.WorkingDir || '/';
  const absolute = (word: string) => (word.startsWith('/') ? word : `${workdir}/${word}`);
  const variable = config.Env?.find((text) => text.startsWith('PATH='))?.slice('PATH='.length);
  const path = variable?.split(':').filter((directory) => directory.startsWith('/'));
  const isExecutable = (at: string): boolean => {
    const found = root.trace(at);
    return isTrace(found) && found.stat.type === 'file' && (found.stat.mode & 0o111) !== 0;
  };
  const isProgram = (word: string): boolean =>
    word.startsWith('/')
      ? isExecutable(word)
      : !word.includes('/') && (path ?? []).some((at) => isExecutable(`${at}/${word}`));
  // By convention, an entrypoint script ends with exec "$@".
  const command = config.Entrypoint?.length ? config.Cmd?.[0] : undefined;
  const programs = [
    ...(first === undefined ? [] : [first]),
    ...(command !== undefined && isProgram(command) ? [command] : []),
  ];
  const named = words.filter((word) => !programs.includes(word) && isFile(absolute(word)));
  const user = config.User ?? '';
  const accounts = /[^0-9:]/.test(user) ? ['/etc/passwd', '/etc/group'].filter(isFile) : [];
  const isShell = first !== undefined && SHELL.test(first) && words[1] === '-c';
  return {
    programs: [...new Set(programs)],
    include: [...new Set([...named.map(absolute), ...accounts])],
    ...(path === undefined || path.length === 0 ? {} : { path }),
    warnings: isShell
      ? [`the image runs a shell command: name the programs that it starts, beside --from-image`]
      : [],
  };
}
