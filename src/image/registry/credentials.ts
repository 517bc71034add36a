import path from 'node:path';
import { JailbuildError } from '../../errors.js';
import { outsideProgram } from '../../fs/outside-program.js';
import { ownHome, ownVariable } from '../../fs/own-environment.js';
import { readTextFile } from '../../fs/read-text.js';

export interface Credentials {
  readonly user: string;
  readonly secret: string;
  /** True if the secret is an identity token, exchanged at a token service, instead of a password. */
  readonly isIdentityToken?: boolean;
}

interface AuthFile {
  readonly auths?: Readonly<
    Record<string, { readonly auth?: string; readonly identitytoken?: string }>
  >;
  readonly credHelpers?: Readonly<Record<string, string>>;
  readonly credsStore?: string;
}

/** Timeout of a credential helper, which may prompt the user, in milliseconds. */
const PATIENCE = 120_000;
/** In bytes; podman and docker keep one entry a registry in it. */
const MAX_AUTH_FILE = 1 << 20;
/** Names of Docker Hub in Docker's configuration file. */
const HUB_KEYS = ['https://index.docker.io/v1/', 'index.docker.io'];

/**
 * Finds the credentials for a repository where `podman login`, `skopeo login` and `docker login` store them
 * (containers-auth.json(5)), most specific namespace first. Runs credential helpers.
 *
 * @param file the only file to read
 * @throws JailbuildError NOT_READABLE, USAGE for that file; REGISTRY_FAILED for a helper that does not run
 */
export async function findCredentials(
  host: string,
  repository: string,
  file?: string,
): Promise<Credentials | undefined> {
  const parts = repository.split('/');
  const names = [
    ...parts.map((_, index) => [host, ...parts.slice(0, parts.length - index)].join('/')),
    host,
  ];
  const keys = host === 'docker.io' ? [...names, ...HUB_KEYS] : names;
  for (const candidate of file === undefined ? authFiles() : [file]) {
    const read = readAuthFile(candidate, candidate === file);
    if (read === undefined) continue;
    for (const key of keys) {
      const { auth, identitytoken } = read.auths?.[key] ?? read.auths?.[`https://${key}`] ?? {};
      if (identitytoken) return { user: '', secret: identitytoken, isIdentityToken: true };
      if (auth) return decoded(auth, candidate, key);
      const helper = read.credHelpers?.[key];
      if (helper !== undefined) return askHelper(helper, key);
    }
    if (read.credsStore !== undefined) {
      const found = await askHelper(
        read.credsStore,
        host === 'docker.io' ? (HUB_KEYS[0] ?? host) : host,
      );
      if (found !== undefined) return found;
    }
  }
  return undefined;
}

function authFiles(): string[] {
  const named = ownVariable('REGISTRY_AUTH_FILE');
  if (named) return [named];
  const home = ownHome();
  return [
    path.join(
      ownVariable('XDG_RUNTIME_DIR') || `/run/containers/${process.geteuid?.()}`,
      'containers/auth.json',
    ),
    path.join(`/run/containers/${process.geteuid?.()}`, 'auth.json'),
    path.join(ownVariable('XDG_CONFIG_HOME') || path.join(home, '.config'), 'containers/auth.json'),
    path.join(ownVariable('DOCKER_CONFIG') || path.join(home, '.docker'), 'config.json'),
  ];
}

function readAuthFile(file: string, isNamed: boolean): AuthFile | undefined {
  let text: string;
  try {
    text = readTextFile(file, MAX_AUTH_FILE, `--auth-file ${file}`);
  } catch (error) {
    if (isNamed) throw error;
    return undefined;
  }
  try {
    const read: unknown = JSON.parse(text);
    if (typeof read === 'object' && read !== null) return read;
  } catch {
    // The parser's message would quote the file.
  }
  if (!isNamed) return undefined;
  throw new JailbuildError(
    'USAGE',
    `--auth-file ${file}: is not JSON (containers-auth.json(5))`,
    file,
  );
}

function decoded(auth: string, file: string, key: string): Credentials {
  const text = Buffer.from(auth, 'base64').toString();
  const colon = text.indexOf(':');
  if (colon > 0) return { user: text.slice(0, colon), secret: text.slice(colon + 1) };
  throw new JailbuildError('USAGE', `${file}: auth of ${key} is not USER:PASSWORD in base64`, file);
}

/** User name that helpers return for an identity token (docker-credential-helpers, README). */
const TOKEN_USER = '<token>';

/** Runs docker-credential-NAME get: the server on standard input, JSON on standard output. */
async function askHelper(name: string, server: string): Promise<Credentials | undefined> {
  const program = `docker-credential-${name}`;
  const refuse = (why: string) => new JailbuildError('REGISTRY_FAILED', `${program}: ${why}`);
  if (!/^[A-Za-z0-9_.-]+$/.test(name)) throw refuse('is not a valid name of a credential helper');
  const run = await outsideProgram();
  const result = await run(program, ['get'], {
    input: server,
    reject: false,
    timeout: PATIENCE,
  });
  const { stdout, failed, exitCode, code } = result;
  if (code === 'ENOENT')
    throw refuse('is not installed, but the credentials file names it: install it');
  // Its output may contain secrets.
  if (failed && /credentials not found/i.test(stdout)) return undefined;
  if (failed) throw refuse(exitCode === undefined ? 'did not end' : `ended with ${exitCode}`);
  try {
    const { Username, Secret } = JSON.parse(stdout) as { Username?: string; Secret?: string };
    if (!Secret) return undefined;
    if (Username === TOKEN_USER) return { user: '', secret: Secret, isIdentityToken: true };
    return Username ? { user: Username, secret: Secret } : undefined;
  } catch {
    throw refuse('did not print JSON');
  }
}
