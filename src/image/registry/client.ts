import { readFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { rootCertificates } from 'node:tls';
import systemAuthorities from '../../../templates/ca-certificates.json' with { type: 'json' };
import { JailbuildError, strerror } from '../../errors.js';
import { ownVariable } from '../../fs/own-environment.js';
import { listNames, toBytes } from '../../fs/path-bytes.js';
import { type Credentials, findCredentials } from './credentials.js';
import { hostToConnect, type RegistryName } from './name.js';
import {
  type HttpProxy,
  ProxyRefusal,
  proxyError,
  proxyFor,
  TunnelAgent,
  throughProxy,
} from './proxy.js';

/** How registries are reached. */
export interface RegistryAccess {
  /** False to accept any certificate and plain HTTP. */
  readonly tlsVerify?: boolean;
  /** File of certificate authorities (PEM) to trust in addition to the system's. */
  readonly caFile?: string;
  /**
   * A directory with authorities (`*.crt`) and client certificates (`*.cert` with `*.key`). The default is that of
   * the registry in /etc/containers/certs.d or /etc/docker/certs.d.
   */
  readonly certDir?: string;
  /** With users and passwords. The default is those of podman, skopeo and docker. */
  readonly authFile?: string;
}

export interface RegistryOptions extends RegistryAccess {
  readonly signal?: AbortSignal;
}

export interface RegistryRequest {
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Buffer;
  /** Statuses handled by the caller; any other is an error. */
  readonly accept: readonly number[];
  /** False for requests that must not be sent twice: a broken connection throws `BrokenConnection`. */
  readonly isRepeatable?: boolean;
}

/** A connection that ended before the response; thrown for requests that are not repeatable. */
export class BrokenConnection extends JailbuildError {}

export interface RegistryAnswer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  /** Final URL after redirects. */
  readonly url: URL;
  readonly body: http.IncomingMessage;
}

/** Maximum number of consecutive attempts at a request. */
export const ATTEMPTS = 6;
/** Delay before the second attempt, in milliseconds; doubled each time. */
const FIRST_DELAY = 250;
const MAX_DELAY = 30_000;
const MAX_REDIRECTS = 5;
/** Maximum time without a byte, in milliseconds. */
const IDLE = 60_000;
const CERTIFICATE_DIRECTORIES = ['/etc/containers/certs.d', '/etc/docker/certs.d'];
const AGAIN = /^(ECONNRESET|ECONNREFUSED|ETIMEDOUT|EPIPE|EAI_AGAIN|EPROXYBUSY)$/;

/**
 * A registry client (OCI distribution spec 1.1): bearer and basic authentication, retries with growing delays,
 * redirects without credentials. Messages contain no secrets.
 */
export class RegistryClient {
  readonly name: RegistryName;
  readonly #options: RegistryOptions;
  readonly #actions: string;
  #authorization: string | undefined;
  #isPlain = false;
  /** Whether the registry has responded before; one that never did is not retried. */
  #isReached = false;
  readonly #secrets = new Set<string>();
  /** By the proxy that they use; undefined for none. */
  readonly #agents = new Map<string | undefined, https.Agent>();

  constructor(name: RegistryName, actions: 'pull' | 'pull,push', options: RegistryOptions = {}) {
    this.name = name;
    this.#actions = actions;
    this.#options = options;
  }

  /** Names the registry in messages. */
  get where(): string {
    return `docker://${this.name.host}/${this.name.repository}`;
  }

  /**
   * Sends a request for a resource of the repository.
   *
   * @param target relative to `/v2/NAME/`, or a location returned by the registry
   * @throws JailbuildError REGISTRY_FAILED
   */
  async request(
    method: string,
    target: string | URL,
    request: RegistryRequest,
  ): Promise<RegistryAnswer> {
    for (let attempt = 1; ; attempt++) {
      this.#options.signal?.throwIfAborted();
      const isLast = attempt === ATTEMPTS || request.isRepeatable === false;
      let answer: RegistryAnswer;
      try {
        answer = await this.#authorized(method, target, request);
      } catch (error) {
        const isPassing = AGAIN.test(codeOf(error)) && (this.#isReached || !isRefusal(error));
        if (error instanceof JailbuildError || isLast || !isPassing) {
          throw this.#unreachable(error, isPassing && request.isRepeatable === false);
        }
        await this.pause(attempt);
        continue;
      }
      const { status } = answer;
      if (request.accept.includes(status)) {
        const isPage =
          isHtml(answer.headers) && (status < 300 || target.toString().startsWith('manifests'));
        if (isPage && method !== 'HEAD') throw await this.#refused(answer, method);
        return answer;
      }
      if (isLast || (status !== 429 && status < 500)) throw await this.#refused(answer, method);
      answer.body.resume();
      await this.pause(attempt, Number(answer.headers['retry-after']));
    }
  }

  /** Reads a response body of at most `most` bytes. */
  async text({ body }: RegistryAnswer, most = 4 << 20): Promise<Buffer> {
    const parts: Buffer[] = [];
    let size = 0;
    for await (const part of body as AsyncIterable<Buffer>) {
      size += part.length;
      if (size > most) throw this.failed(`sent more than ${most} bytes`);
      parts.push(part);
    }
    return Buffer.concat(parts);
  }

  failed(why: string, cause?: unknown): JailbuildError {
    return new JailbuildError('REGISTRY_FAILED', this.#message(why), this.where, { cause });
  }

  /** A registry may echo credentials. */
  #message(why: string): string {
    let text = `${this.where}: ${why}`;
    for (const secret of this.#secrets) if (secret !== '') text = text.replaceAll(secret, '***');
    return text;
  }

  /** Resolves a location returned by the registry, which may be relative. */
  locationOf({ headers, url }: RegistryAnswer): URL {
    const { location } = headers;
    if (location === undefined) throw this.failed('sent no location to continue at');
    if (!URL.canParse(location, url.href)) throw this.failed('sent a location that is not a URL');
    return new URL(location, url);
  }

  async #authorized(
    method: string,
    target: string | URL,
    request: RegistryRequest,
  ): Promise<RegistryAnswer> {
    const answer = await this.#send(method, target, request);
    if (answer.status !== 401) return answer;
    answer.body.resume();
    this.#authorization = await this.#authorize(answer.headers['www-authenticate'] ?? '');
    const second = await this.#send(method, target, request);
    if (second.status !== 401) return second;
    second.body.resume();
    if (/insufficient_scope/.test(second.headers['www-authenticate'] ?? '')) {
      throw this.failed(
        `does not allow ${this.#actions} with these credentials (401): request access, or log in as another user`,
      );
    }
    throw this.failed('refuses the credentials (401): log in again, as with `podman login`');
  }

  /** Responds to a challenge (RFC 7617; distribution, "Token Authentication Specification"). */
  async #authorize(challenge: string): Promise<string> {
    const { host, repository } = this.name;
    const found = await findCredentials(host, repository, this.#options.authFile);
    if (found !== undefined) this.#secrets.add(found.secret);
    const bearer = /(?:^|,\s*)bearer\s+(.*)$/i.exec(challenge)?.[1];
    if (bearer !== undefined) return this.#token(bearer, found);
    if (!/(^|,\s*)basic\b/i.test(challenge)) {
      throw this.failed('requires a kind of authentication that is not supported (401)');
    }
    if (found === undefined) {
      throw this.failed('wants a user and a password (401): log in first, as with `podman login`');
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
    if (!URL.canParse(realm)) throw this.failed('names no token service (401)');
    const url = new URL(realm);
    const isInsecure = url.protocol !== 'https:' && this.#options.tlsVerify !== false;
    if (isInsecure)
      throw this.failed(`has its token service at ${url.origin}, which is not encrypted`);
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
      answer = await this.#exchange('POST', url, { headers, body });
    } else {
      for (const [key, value] of parameters) url.searchParams.append(key, value);
      const headers = found === undefined ? {} : { authorization: this.#basicOf(found) };
      answer = await this.#exchange('GET', url, { headers });
    }
    if (answer.status === 401 || answer.status === 403 || (isIdentity && answer.status === 400)) {
      answer.body.resume();
      const what = found === undefined ? 'gives no anonymous token' : 'refuses the credentials';
      throw this.failed(`${what} (${answer.status}): log in, as with \`podman login\``);
    }
    if (answer.status !== 200 || isHtml(answer.headers)) throw await this.#refused(answer, 'GET');
    const body = (await this.text(answer, 1 << 20)).toString();
    try {
      const { token, access_token: access } = JSON.parse(body) as Record<string, string>;
      const given = token || access;
      if (typeof given === 'string' && given !== '') {
        this.#secrets.add(given);
        return `Bearer ${given}`;
      }
    } catch {
      // Reported below.
    }
    throw this.failed(`got no token from ${url.origin}: the response has none`);
  }

  /** Returns the scopes needed for this repository, and those that the registry additionally requires. */
  #scopes(asked: string | undefined): readonly string[] {
    const own = `repository:${this.name.repository}`;
    const others = (asked ?? '')
      .split(' ')
      .filter((scope) => scope && !scope.startsWith(`${own}:`));
    return [`${own}:${this.#actions}`, ...others];
  }

  #basicOf({ user, secret }: Credentials): string {
    const text = Buffer.from(`${user}:${secret}`).toString('base64');
    this.#secrets.add(text);
    return `Basic ${text}`;
  }

  async #send(
    method: string,
    target: string | URL,
    { headers = {}, body }: RegistryRequest,
  ): Promise<RegistryAnswer> {
    const host = hostToConnect(this.name.host);
    const base = () => new URL(`${this.#isPlain ? 'http' : 'https'}://${host}`);
    const urlOf = () =>
      target instanceof URL ? target : new URL(`/v2/${this.name.repository}/${target}`, base());
    let url = urlOf();
    // A location on another host carries its own authorization.
    const isOwn = url.host === base().host;
    const own =
      this.#authorization === undefined || !isOwn ? {} : { authorization: this.#authorization };
    const sent = { headers: { ...headers, ...own }, ...(body === undefined ? {} : { body }) };
    let answer: RegistryAnswer;
    try {
      answer = await this.#exchange(method, url, sent);
    } catch (error) {
      const isPlain = this.#options.tlsVerify === false && /^(EPROTO|ERR_SSL)/.test(codeOf(error));
      if (!isPlain || target instanceof URL) throw error;
      this.#isPlain = true;
      url = urlOf();
      answer = await this.#exchange(method, url, sent);
    }
    // Follow redirects of reads only, to where the content is stored.
    for (
      let hop = 0;
      [301, 302, 303, 307, 308].includes(answer.status) && isReading(method);
      hop++
    ) {
      if (hop === MAX_REDIRECTS) throw this.failed('redirects too often');
      answer.body.resume();
      const next = this.locationOf(answer);
      const isSame = next.host === url.host;
      answer = await this.#exchange(method, next, {
        headers: isSame ? sent.headers : { ...headers },
      });
    }
    return answer;
  }

  #exchange(
    method: string,
    url: URL,
    {
      headers,
      body,
    }: { readonly headers: Readonly<Record<string, string>>; readonly body?: Buffer },
  ): Promise<RegistryAnswer> {
    const isPlain = url.protocol === 'http:';
    if (isPlain && this.#options.tlsVerify !== false) {
      throw this.failed(`redirects to ${url.origin}, which is not encrypted: see --tls-verify`);
    }
    const length = isReading(method) ? {} : { 'content-length': String(body?.length ?? 0) };
    const proxy = proxyFor(url, process.env);
    const via = isPlain ? proxy : undefined;
    const forward = via === undefined ? undefined : throughProxy(via, url);
    const options = {
      ...this.#requestOptions(),
      ...forward,
      method,
      headers: { 'user-agent': 'jailbuild', ...headers, ...length, ...forward?.headers },
      ...(isPlain ? {} : { agent: this.#tlsAgent(proxy) }),
    };
    const isSecure = (forward?.protocol ?? url.protocol) === 'https:';
    return new Promise((resolve, reject) => {
      const request = (isSecure ? https : http).request(url, options, (answer) => {
        const { statusCode: status = 0, headers: sent } = answer;
        if (via !== undefined && status === 407) {
          answer.resume();
          reject(new ProxyRefusal(via, url.host, status));
          return;
        }
        this.#isReached = true;
        resolve({ status, headers: sent, url, body: answer });
      });
      request.on('timeout', () => request.destroy(new TimeoutError()));
      request.on('error', (error) => {
        reject(via === undefined ? error : proxyError(via, error));
      });
      request.end(body);
    });
  }

  /** Returns the options of every request, to a registry or a proxy. */
  #requestOptions(): https.RequestOptions {
    const { signal } = this.#options;
    return { timeout: IDLE, ...(signal === undefined ? {} : { signal }) };
  }

  #tlsAgent(proxy: HttpProxy | undefined): https.Agent {
    const key = proxy?.url.href;
    let agent = this.#agents.get(key);
    if (agent === undefined) {
      const trust = {
        rejectUnauthorized: this.#options.tlsVerify !== false,
        ca: this.#authorities(),
      };
      const options = {
        keepAlive: true,
        ...trust,
        ...clientCertificate(this.#certificates()),
      };
      agent =
        proxy === undefined
          ? new https.Agent(options)
          : new TunnelAgent(options, proxy, { ...this.#requestOptions(), ...trust });
      this.#agents.set(key, agent);
    }
    return agent;
  }

  /** Returns the authorities of the system, of Node, and those configured for this registry. */
  #authorities(): string[] {
    const { caFile } = this.#options;
    const ofSystem = ownVariable('SSL_CERT_FILE');
    const system = ofSystem ? [ofSystem] : systemAuthorities.bundles;
    const ofNode = ownVariable('NODE_EXTRA_CA_CERTS');
    const extra = ofNode ? [ofNode] : [];
    const found = [...system, ...extra, ...this.#certificates().filter(isAuthority)].map(
      readIfThere,
    );
    return [
      ...rootCertificates,
      ...found.filter((text) => text !== undefined),
      ...(caFile === undefined ? [] : [readAuthority(caFile)]),
    ];
  }

  #certificates(): readonly string[] {
    const { certDir } = this.#options;
    return certDir === undefined ? certificatesOf(this.name.host) : certificatesIn(certDir);
  }

  /** Closes idle connections. */
  close(): void {
    for (const agent of this.#agents.values()) agent.destroy();
  }

  /**
   * Waits before another attempt, longer each time.
   *
   * @param attempt number of failed attempts, from 1
   * @param seconds delay requested by the registry
   */
  async pause(attempt: number, seconds = Number.NaN): Promise<void> {
    const asked = Number.isFinite(seconds) ? seconds * 1000 : FIRST_DELAY * 2 ** (attempt - 1);
    const { signal } = this.#options;
    await sleep(Math.min(asked, MAX_DELAY), undefined, signal === undefined ? {} : { signal });
  }

  #unreachable(error: unknown, isBroken: boolean): unknown {
    if (error instanceof JailbuildError || this.#options.signal?.aborted) return error;
    const code = codeOf(error);
    const message = error instanceof Error ? error.message : String(error);
    if (/CERT|SELF_SIGNED|ALTNAME|UNABLE_TO/.test(code)) {
      return this.failed(
        `has a certificate that is not trusted (${code}): give its authority with --registry-ca`,
        error,
      );
    }
    if (/^(EPROTO|ERR_SSL)/.test(code)) {
      return this.failed('does not speak TLS: give --tls-verify=false for plain HTTP', error);
    }
    const why = this.#message(`cannot be reached: ${message || code}`);
    if (isBroken) return new BrokenConnection('REGISTRY_FAILED', why, this.where, { cause: error });
    return new JailbuildError('REGISTRY_FAILED', why, this.where, { cause: error });
  }

  async #refused(answer: RegistryAnswer, method: string): Promise<JailbuildError> {
    const { status, headers } = answer;
    const body = (await this.text(answer).catch(() => Buffer.alloc(0))).toString().trim();
    const isPage = isHtml(headers) || body.startsWith('<');
    const reason = isPage ? '' : reasonOf(body);
    if (status === 401) return this.failed(`requires a login (401)${reason}`);
    if (status === 403) {
      return this.failed(`does not allow this with these credentials (403)${reason}`);
    }
    if (isPage) {
      return this.failed(`answers ${status} with HTML: it is not a registry, or behind a proxy`);
    }
    return this.failed(`answers ${method} with ${status}${reason}`);
  }
}

class TimeoutError extends Error {
  readonly code = 'ETIMEDOUT';
  override readonly message = 'no answer in time';
}

/** Returns the codes and messages of an error response (distribution spec, "Error Codes"). */
function reasonOf(body: string): string {
  try {
    const { errors } = JSON.parse(body) as { errors?: { code?: string; message?: string }[] };
    const [first] = errors ?? [];
    if (first !== undefined) return `: ${first.message || first.code}`.replace(/\p{Cc}/gu, ' ');
  } catch {
    // Not an error document.
  }
  return '';
}

function isReading(method: string): boolean {
  return method === 'GET' || method === 'HEAD';
}

/** Returns whether the connection was refused. */
function isRefusal(error: unknown): boolean {
  return codeOf(error) === 'ECONNREFUSED';
}

function isHtml(headers: http.IncomingHttpHeaders): boolean {
  return /\bx?html\b/.test(headers['content-type'] ?? '');
}

function codeOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return typeof code === 'string' ? code : '';
}

function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(toBytes(file), 'utf8');
  } catch {
    return undefined;
  }
}

/** @throws JailbuildError NOT_READABLE, USAGE */
function readAuthority(file: string): string {
  let text: string;
  try {
    text = readFileSync(toBytes(file), 'utf8');
  } catch (error) {
    throw new JailbuildError('NOT_READABLE', `--registry-ca ${file}: ${strerror(error)}`, file);
  }
  if (text.includes('-----BEGIN CERTIFICATE-----')) return text;
  throw new JailbuildError('USAGE', `--registry-ca ${file}: has no certificate in PEM form`, file);
}

/** Returns files configured for one host (containers-certs.d(5)). */
function certificatesOf(host: string): readonly string[] {
  for (const directory of CERTIFICATE_DIRECTORIES) {
    try {
      return filesIn(path.join(directory, host));
    } catch {
      // Most hosts have none.
    }
  }
  return [];
}

/** @throws JailbuildError NOT_READABLE */
function certificatesIn(directory: string): readonly string[] {
  try {
    return filesIn(directory);
  } catch (error) {
    throw new JailbuildError('NOT_READABLE', `${directory}: ${strerror(error)}`, directory);
  }
}

function filesIn(directory: string): readonly string[] {
  return listNames(directory)
    .sort()
    .map((name) => path.join(directory, name));
}

function isAuthority(file: string): boolean {
  return file.endsWith('.crt');
}

/**
 * The first client certificate among files, with its key (containers-certs.d(5)).
 *
 * @throws JailbuildError NOT_READABLE
 */
function clientCertificate(files: readonly string[]): { cert?: string; key?: string } {
  const file = files.find((name) => name.endsWith('.cert'));
  if (file === undefined) return {};
  return { cert: readPem(file), key: readPem(file.replace(/\.cert$/, '.key')) };
}

function readPem(file: string): string {
  try {
    return readFileSync(toBytes(file), 'utf8');
  } catch (error) {
    throw new JailbuildError('NOT_READABLE', `${file}: ${strerror(error)}`, file);
  }
}
