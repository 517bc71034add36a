import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';

export interface Credentials {
  readonly user: string;
  readonly secret: string;
}

interface AuthFile {
  readonly auths?: Readonly<Record<string, { readonly auth?: string }>>;
  readonly credHelpers?: Readonly<Record<string, string>>;
  readonly credsStore?: string;
}

/** What Docker Hub is called in Docker's file. */
const HUB_KEYS = ['https://index.docker.io/v1/', 'index.docker.io'];

/**
 * Finds the user and password for a repository where `podman login`, `skopeo login` and `docker login`
 * put them (containers-auth.json(5)): the most specific of a namespace first. Credential helpers are
 * asked by their protocol, over standard input.
 *
 * @param file the only file that is looked at
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
    const read = readAuthFile(candidate);
    if (read === undefined) continue;
    for (const key of keys) {
      const { auth } = read.auths?.[key] ?? read.auths?.[`https://${key}`] ?? {};
      if (auth !== undefined && auth !== '') return decoded(auth);
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
  const { REGISTRY_AUTH_FILE, XDG_RUNTIME_DIR, XDG_CONFIG_HOME, DOCKER_CONFIG } = process.env;
  if (REGISTRY_AUTH_FILE) return [REGISTRY_AUTH_FILE];
  const home = homedir();
  return [
    path.join(XDG_RUNTIME_DIR || `/run/containers/${process.geteuid?.()}`, 'containers/auth.json'),
    path.join(`/run/containers/${process.geteuid?.()}`, 'auth.json'),
    path.join(XDG_CONFIG_HOME || path.join(home, '.config'), 'containers/auth.json'),
    path.join(DOCKER_CONFIG || path.join(home, '.docker'), 'config.json'),
  ];
}

function readAuthFile(file: string): AuthFile | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as AuthFile;
  } catch {
    return undefined;
  }
}

function decoded(auth: string): Credentials | undefined {
  const text = Buffer.from(auth, 'base64').toString();
  const colon = text.indexOf(':');
  return colon < 0 ? undefined : { user: text.slice(0, colon), secret: text.slice(colon + 1) };
}

/** docker-credential-NAME get: the server on standard input, JSON on standard output. */
async function askHelper(name: string, server: string): Promise<Credentials | undefined> {
  if (!/^[A-Za-z0-9_-]+$/.test(name)) return undefined;
  const { execa } = await import('execa');
  const { stdout, failed } = await execa(`docker-credential-${name}`, ['get'], {
    input: server,
    reject: false,
  });
  if (failed) return undefined;
  try {
    const { Username, Secret } = JSON.parse(stdout) as { Username?: string; Secret?: string };
    return Username && Secret ? { user: Username, secret: Secret } : undefined;
  } catch {
    return undefined;
  }
}
