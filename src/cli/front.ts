import { useFront } from '../jail/engine/front-connection.js';

/** The name of the variable that the native front sets; native/front/start.c writes it. */
const VARIABLE = 'JAILBUILD_FRONT';
/** Variables that the front sets aside because Node would read them at startup (native/front/front.h). */
const [CERTIFICATES, ASIDE] = ['NODE_EXTRA_CA_CERTS', 'JAILBUILD_NODE_EXTRA_CA_CERTS'];

/** Matches a key, which names a file. */
const KEY = /^[0-9a-f]{32}$/;

let isFronted = false;
let key: string | undefined;
let build: BuildKey | undefined;

/** What names the build of a new jail, whatever the jail's name. */
export interface BuildKey {
  readonly key: string;
  /** The word that names the jail. */
  readonly target: string;
}

/** Returns whether a native front started this process, and so may start others later. */
export function hasFront(): boolean {
  return isFronted;
}

/** Returns what names the answer to this command (native/front/answer.c); undefined if none may be stored. */
export function answerKey(): string | undefined {
  return key;
}

/** Returns what names this build of a new jail (native/front/new_jail.c); undefined if none may be stored. */
export function buildKey(): BuildKey | undefined {
  return build;
}

/**
 * Learns what the native front says that has started this process, and hides it from those that this
 * one starts: `REQUESTS,REPLIES,PROCESS`, the descriptors of the writer's pipes, where it stays to be the
 * writer; then `;tuned` where it has set glibc's memory settings; then `;KEY,PROCESS`, see {@link answerKey}, and
 * `;KEY,WORD`, see {@link buildKey}.
 *
 * @param environment the process's own, of which it takes out what is the front's
 */
export function meetFront(environment: NodeJS.ProcessEnv = process.env): void {
  const said = environment[VARIABLE];
  isFronted = said !== undefined;
  if (said === undefined) return;
  delete environment[VARIABLE];
  const certificates = environment[ASIDE];
  if (certificates !== undefined) {
    delete environment[ASIDE];
    environment[CERTIFICATES] = certificates;
  }
  const [channel = '', settings, named = '', built = ''] = said.split(';');
  const [hash = '', owner] = named.split(',');
  // A front that is not the writer has become this process.
  const isOurs = [process.ppid, process.pid].includes(Number(owner));
  key = isOurs && KEY.test(hash) ? hash : undefined;
  const [buildHash = '', word] = built.split(',');
  // The first word behind the program and the script.
  const target = process.argv[Number(word) + 1];
  build =
    isOurs && KEY.test(buildHash) && target !== undefined ? { key: buildHash, target } : undefined;
  if (settings === 'tuned') delete environment.GLIBC_TUNABLES;
  const [requests, replies, front] = channel.split(',').map(Number);
  // The variable was meant for another process.
  if (requests === undefined || replies === undefined || front !== process.ppid) return;
  useFront({ requests, replies });
}
