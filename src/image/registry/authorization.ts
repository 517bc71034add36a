import type { RegistryAccess } from './access.js';
import { isHtml, type RegistryAnswer, readBody } from './answer.js';
import type { RegistryConnections } from './connections.js';
import { type Credentials, findCredentials } from './credentials.js';
import type { RegistryFailures } from './failures.js';
import type { RegistryName } from './name.js';

/** What is asked for: to read, or to read and write. */
export type RegistryActions = 'pull' | 'pull,push';

/** Answers the challenges of one registry: basic authentication, or a token from its service. */
export class Authorization {
  readonly #name: RegistryName;
  readonly #actions: RegistryActions;
  readonly #options: RegistryAccess;
  readonly #connections: RegistryConnections;
  readonly #failures: RegistryFailures;

  constructor(
    name: RegistryName,
    actions: RegistryActions,
    options: RegistryAccess,
    connections: RegistryConnections,
    failures: RegistryFailures,
  ) {
    this.#name = name;
    this.#actions = actions;
    this.#options = options;
    this.#connections = connections;
    this.#failures = failures;
  }

  /**
   * Returns the Authorization header that answers a challenge (RFC 7617; distribution, "Token
   * Authentication Specification").
   *
   * @throws JailbuildError REGISTRY_FAILED
   */
  async answer(challenge: string): Promise<string> {
    const { host, repository } = this.#name;
    const found = await findCredentials(host, repository, this.#options.authFile);
    if (found !== undefined) this.#failures.conceal(found.secret);
    const bearer = /(?:^|,\s*)bearer\s+(.*)$/i.exec(challenge)?.[1];
    if (bearer !== undefined) return this.#token(bearer, found);
    if (!/(^|,\s*)basic\b/i.test(challenge)) {
      throw this.#failures.failed('requires a kind of authentication that is not supported (401)');
    }
    if (found === undefined) {
      throw this.#failures.failed(
        'wants a user and a password (401): log in first, as with `podman login`',
      );
    }
    return this.#basicOf(found);
  }

  /**
   * Requests a token from the service named in a challenge, using a password or the identity token of a login
   * (distribution, "OAuth2 Token Authentication").
   */
  async #token(challenge: string, found: Credentials | undefined): Promise<string> {
    const fields = new Map(
      [...challenge.matchAll(/(\w+)="([^"]*)"/g)].map(([, key = '', value = '']) => [key, value]),
    );
    const realm = fields.get('realm') ?? '';
    if (!URL.canParse(realm)) throw this.#failures.failed('names no token service (401)');
    const url = new URL(realm);
    const isInsecure = url.protocol !== 'https:' && this.#options.tlsVerify !== false;
    if (isInsecure)
      throw this.#failures.failed(`has its token service at ${url.origin}, which is not encrypted`);
    const parameters = new URLSearchParams();
    const service = fields.get('service');
    if (service !== undefined) parameters.set('service', service);
    for (const scope of this.#scopes(fields.get('scope'))) parameters.append('scope', scope);
    const isIdentity = found?.isIdentityToken === true;
    let answer: RegistryAnswer;
    if (isIdentity) {
      parameters.set('grant_type', 'refresh_token');
      parameters.set('client_id', 'jailbuild');
      parameters.set('refresh_token', found.secret);
      parameters.set('scope', parameters.getAll('scope').join(' '));
      const headers = { 'content-type': 'application/x-www-form-urlencoded' };
      const body = Buffer.from(parameters.toString());
      answer = await this.#connections.send('POST', url, { headers, body });
    } else {
      for (const [key, value] of parameters) url.searchParams.append(key, value);
      const headers = found === undefined ? {} : { authorization: this.#basicOf(found) };
      answer = await this.#connections.send('GET', url, { headers });
    }
    if (answer.status === 401 || answer.status === 403 || (isIdentity && answer.status === 400)) {
      answer.body.resume();
      const what = found === undefined ? 'gives no anonymous token' : 'refuses the credentials';
      throw this.#failures.failed(`${what} (${answer.status}): log in, as with \`podman login\``);
    }
    if (answer.status !== 200 || isHtml(answer.headers))
      throw await this.#failures.refused(answer, 'GET');
    const failed = (why: string) => this.#failures.failed(why);
    const body = (await readBody(answer, failed, 1 << 20)).toString();
    try {
      const { token, access_token: access } = JSON.parse(body) as Record<string, string>;
      const given = token || access;
      if (typeof given === 'string' && given !== '') {
        this.#failures.conceal(given);
        return `Bearer ${given}`;
      }
    } catch {
      // Reported below.
    }
    throw this.#failures.failed(`got no token from ${url.origin}: the response has none`);
  }

  /** Returns the scopes needed for this repository, and those that the registry additionally requires. */
  #scopes(asked: string | undefined): readonly string[] {
    const own = `repository:${this.#name.repository}`;
    const others = (asked ?? '')
      .split(' ')
      .filter((scope) => scope && !scope.startsWith(`${own}:`));
    return [`${own}:${this.#actions}`, ...others];
  }

  #basicOf({ user, secret }: Credentials): string {
    const text = Buffer.from(`${user}:${secret}`).toString('base64');
    this.#failures.conceal(text);
    return `Basic ${text}`;
  }
}
