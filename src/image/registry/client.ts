import { readdirSync, readFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { rootCertificates } from 'node:tls';
import { JailbuildError } from '../../errors.js';
import { type Credentials, findCredentials } from './credentials.js';
import { hostToConnect, type RegistryName } from './name.js';

export interface RegistryOptions {
  /** False to accept any certificate, and plain HTTP. */
  readonly tlsVerify?: boolean;
  /** Of certificate authorities (PEM), beside those of the system. */
  readonly caFile?: string;
  readonly authFile?: string;
  readonly signal?: AbortSignal;
}

export interface RegistryRequest {
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Buffer;
  /** Statuses that the caller deals with; any other is an error. */
  readonly accept: readonly number[];
  /** False for what must not be sent twice. */
  readonly isRepeatable?: boolean;
}

export interface RegistryAnswer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  /** Where it came from, redirects followed. */
  readonly url: URL;
  readonly body: http.IncomingMessage;
}

const ATTEMPTS = 6;
/** Milliseconds before the second attempt; doubled with each. */
const FIRST_DELAY = 250;
const MAX_DELAY = 30_000;
const MAX_REDIRECTS = 5;
/** Milliseconds without a byte. */
const IDLE = 60_000;
const CERTIFICATE_DIRECTORIES = ['/etc/containers/certs.d', '/etc/docker/certs.d'];
const AGAIN = /^(ECONNRESET|ECONNREFUSED|ETIMEDOUT|EPIPE|EAI_AGAIN)$/;

/**
 * Speaks with a registry (OCI distribution spec 1.1): bearer and basic authentication, retries with
 * growing delays, redirects without credentials. No secret appears in a message.
 */
export class RegistryClient {
  readonly name: RegistryName;
  readonly #options: RegistryOptions;
  readonly #actions: string;
  #authorization: string | undefined;
  #isPlain = false;
  #agent: https.Agent | undefined;

  constructor(name: RegistryName, actions: 'pull' | 'pull,push', options: RegistryOptions = {}) {
    this.name = name;
    this.#actions = actions;
    this.#options = options;
  }

  /** For messages. */
  get where(): string {
    return `docker://${this.name.host}/${this.name.repository}`;
  }

  /**
   * Sends a request for something of the repository.
   *
   * @param target below `/v2/NAME/`, or a location that the registry gave
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
        if (error instanceof JailbuildError || isLast || !AGAIN.test(codeOf(error))) {
          throw this.#unreachable(error);
        }
        await this.#wait(attempt);
        continue;
      }
      const { status } = answer;
      if (request.accept.includes(status)) return answer;
      if (isLast || (status !== 429 && status < 500)) throw await this.#refused(answer, method);
      answer.body.resume();
      await this.#wait(attempt, Number(answer.headers['retry-after']));
    }
  }

  /** Reads the body of an answer, of which a registry may send no more than `most` bytes. */
  async text({ body }: RegistryAnswer, most = 4 << 20): Promise<Buffer> {
    const parts: Buffer[] = [];
    let size = 0;
    for await (const part of body as AsyncIterable<Buffer>) {
      size += part.length;
      if (size > most) throw this.failed(`answers with more than ${most} bytes`);
      parts.push(part);
    }
    return Buffer.concat(parts);
  }

  failed(why: string, cause?: unknown): JailbuildError {
    return new JailbuildError('REGISTRY_FAILED', `${this.where}: ${why}`, this.where, { cause });
  }

  /** A location that the registry gave, which may be relative. */
  locationOf({ headers, url }: RegistryAnswer): URL {
    if (headers.location === undefined) throw this.failed('gives no location for an upload');
    return new URL(headers.location, url);
  }

  async #authorized(
    method: string,
    target: string | URL,
    request: RegistryRequest,
  ): Promise<RegistryAnswer> {
    const answer = await this.#send(method, target, request);
    if (answer.status !== 401) return answer;
    const challenge = answer.headers['www-authenticate'] ?? '';
    answer.body.resume();
    this.#authorization = await this.#authorize(challenge);
    const second = await this.#send(method, target, request);
    if (second.status !== 401) return second;
    second.body.resume();
    throw this.failed('refuses the credentials (401): log in again, as with `podman login`');
  }

  /** Answers a challenge (RFC 7617; distribution, "Token Authentication Specification"). */
  async #authorize(challenge: string): Promise<string> {
    const { host, repository } = this.name;
    const found = await findCredentials(host, repository, this.#options.authFile);
    const basic = found === undefined ? undefined : basicOf(found);
    if (/^basic\b/i.test(challenge)) {
      if (basic !== undefined) return basic;
      throw this.failed('wants a user and a password (401): log in first, as with `podman login`');
    }
    const fields = new Map(
      [...challenge.matchAll(/(\w+)="([^"]*)"/g)].map(([, key = '', value = '']) => [key, value]),
    );
    const realm = fields.get('realm');
    if (!/^bearer\b/i.test(challenge) || realm === undefined) {
      throw this.failed('wants a kind of authentication that is not supported (401)');
    }
    const url = new URL(realm);
    const isInsecure = url.protocol !== 'https:' && this.#options.tlsVerify !== false;
    if (isInsecure) throw this.failed(`sends its users to ${url.origin}, which is not encrypted`);
    const service = fields.get('service');
    if (service !== undefined) url.searchParams.set('service', service);
    url.searchParams.set('scope', `repository:${repository}:${this.#actions}`);
    const headers = basic === undefined ? {} : { authorization: basic };
    const answer = await this.#exchange('GET', url, { headers });
    if (answer.status === 401 || answer.status === 403) {
      answer.body.resume();
      const what = basic === undefined ? 'gives nobody a token' : 'refuses the credentials';
      throw this.failed(`${what} (${answer.status}): log in, as with \`podman login\``);
    }
    if (answer.status !== 200) throw await this.#refused(answer, 'GET');
    const body = (await this.text(answer, 1 << 20)).toString();
    try {
      const { token, access_token: access } = JSON.parse(body) as Record<string, string>;
      const given = token ?? access;
      if (typeof given === 'string') return `Bearer ${given}`;
    } catch {
      // Told below.
    }
    throw this.failed('gives a token that is none');
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
    const own = this.#authorization === undefined ? {} : { authorization: this.#authorization };
    const sent = { headers: { ...headers, ...own }, ...(body === undefined ? {} : { body }) };
    let url = urlOf();
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
    // Only reading is redirected, to where the content lies.
    for (
      let hop = 0;
      [301, 302, 303, 307, 308].includes(answer.status) && isReading(method);
      hop++
    ) {
      if (hop === MAX_REDIRECTS) throw this.failed('redirects without end');
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
      throw this.failed(`leads to ${url.origin}, which is not encrypted: see --tls-verify`);
    }
    const { signal } = this.#options;
    const length =
      method === 'GET' || method === 'HEAD' ? {} : { 'content-length': String(body?.length ?? 0) };
    const options = {
      method,
      headers: { 'user-agent': 'jailbuild', ...headers, ...length },
      timeout: IDLE,
      ...(signal === undefined ? {} : { signal }),
      ...(isPlain ? {} : { agent: this.#tlsAgent() }),
    };
    return new Promise((resolve, reject) => {
      const request = (isPlain ? http : https).request(url, options, (answer) => {
        resolve({ status: answer.statusCode ?? 0, headers: answer.headers, url, body: answer });
      });
      request.on('timeout', () => request.destroy(new TimeoutError()));
      request.on('error', reject);
      request.end(body);
    });
  }

  #tlsAgent(): https.Agent {
    const { tlsVerify, caFile } = this.#options;
    const own = [...(caFile === undefined ? [] : [caFile]), ...certificatesOf(this.name.host)];
    this.#agent ??= new https.Agent({
      keepAlive: true,
      rejectUnauthorized: tlsVerify !== false,
      ...(own.length === 0
        ? {}
        : { ca: [...rootCertificates, ...own.map((file) => readFileSync(file, 'utf8'))] }),
    });
    return this.#agent;
  }

  /** Ends the connections that were kept for more requests. */
  close(): void {
    this.#agent?.destroy();
  }

  async #wait(attempt: number, seconds = Number.NaN): Promise<void> {
    const asked = Number.isFinite(seconds) ? seconds * 1000 : FIRST_DELAY * 2 ** (attempt - 1);
    const { signal } = this.#options;
    await sleep(Math.min(asked, MAX_DELAY), undefined, signal === undefined ? {} : { signal });
  }

  #unreachable(error: unknown): unknown {
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
    return this.failed(`cannot be reached: ${message || code}`, error);
  }

  async #refused(answer: RegistryAnswer, method: string): Promise<JailbuildError> {
    const { status, headers } = answer;
    const body = (await this.text(answer).catch(() => Buffer.alloc(0))).toString().trim();
    const isHtml = /html/.test(headers['content-type'] ?? '') || body.startsWith('<');
    if (status === 403) return this.failed('does not allow this to these credentials (403)');
    if (isHtml)
      return this.failed(`answers ${status} with HTML: it is not a registry, or behind a proxy`);
    return this.failed(`answers ${method} with ${status}${reasonOf(body)}`);
  }
}

class TimeoutError extends Error {
  readonly code = 'ETIMEDOUT';
  override readonly message = 'no answer in time';
}

/** The codes and messages of an error answer (distribution spec, "Error Codes"). */
function reasonOf(body: string): string {
  try {
    const { errors } = JSON.parse(body) as { errors?: { code?: string; message?: string }[] };
    const [first] = errors ?? [];
    if (first !== undefined) return `: ${first.message || first.code}`.replace(/\p{Cc}/gu, ' ');
  } catch {
    // It has none.
  }
  return '';
}

function isReading(method: string): boolean {
  return method === 'GET' || method === 'HEAD';
}

function basicOf({ user, secret }: Credentials): string {
  return `Basic ${Buffer.from(`${user}:${secret}`).toString('base64')}`;
}

function codeOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return typeof code === 'string' ? code : '';
}

/** Authorities for one host alone (containers-certs.d(5)). */
function certificatesOf(host: string): string[] {
  for (const directory of CERTIFICATE_DIRECTORIES) {
    const own = path.join(directory, host);
    try {
      return readdirSync(own).flatMap((name) =>
        name.endsWith('.crt') ? [path.join(own, name)] : [],
      );
    } catch {
      // Most hosts have none.
    }
  }
  return [];
}
