import { setTimeout as sleep } from 'node:timers/promises';
import { JailbuildError } from '../../errors.js';
import type { RegistryOptions } from './access.js';
import { isHtml, type RegistryAnswer, readBody } from './answer.js';
import { Authorization, type RegistryActions } from './authorization.js';
import { isReading, RegistryConnections, type SentRequest } from './connections.js';
import { codeOf, isNotTls, RegistryFailures } from './failures.js';
import { hostToConnect, type RegistryName } from './name.js';

export interface RegistryRequest extends Partial<SentRequest> {
  /** Statuses handled by the caller; any other is an error. */
  readonly accept: readonly number[];
  /** False for requests that must not be sent twice: a broken connection throws `BrokenConnection`. */
  readonly isRepeatable?: boolean;
}

/** Maximum number of consecutive attempts at a request. */
export const ATTEMPTS = 6;
/** Delay before the second attempt, in milliseconds; doubled each time. */
const FIRST_DELAY = 250;
const MAX_DELAY = 30_000;
const MAX_REDIRECTS = 5;
const AGAIN = /^(ECONNRESET|ECONNREFUSED|ETIMEDOUT|EPIPE|EAI_AGAIN|EPROXYBUSY)$/;

/**
 * A registry client (OCI distribution spec 1.1): bearer and basic authentication, retries with growing delays,
 * redirects without credentials. Messages contain no secrets.
 */
export class RegistryClient {
  readonly name: RegistryName;
  readonly #options: RegistryOptions;
  readonly #actions: RegistryActions;
  readonly #failures: RegistryFailures;
  readonly #connections: RegistryConnections;
  readonly #challenges: Authorization;
  #authorization: string | undefined;
  #isPlain = false;

  constructor(name: RegistryName, actions: RegistryActions, options: RegistryOptions = {}) {
    this.name = name;
    this.#actions = actions;
    this.#options = options;
    this.#failures = new RegistryFailures(this.where);
    this.#connections = new RegistryConnections(name.host, options, this.#failures);
    this.#challenges = new Authorization(name, actions, options, this.#connections, this.#failures);
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
        // A registry that refuses the first connection is not there.
        const isAbsent = codeOf(error) === 'ECONNREFUSED' && !this.#connections.isReached;
        const isPassing = AGAIN.test(codeOf(error)) && !isAbsent;
        if (error instanceof JailbuildError || isLast || !isPassing) {
          if (error instanceof JailbuildError || this.#options.signal?.aborted) throw error;
          throw this.#failures.unreachable(error, isPassing && request.isRepeatable === false);
        }
        await this.pause(attempt);
        continue;
      }
      const { status } = answer;
      if (request.accept.includes(status)) {
        const isPage =
          isHtml(answer.headers) && (status < 300 || target.toString().startsWith('manifests'));
        if (isPage && method !== 'HEAD') throw await this.#failures.refused(answer, method);
        return answer;
      }
      if (isLast || (status !== 429 && status < 500))
        throw await this.#failures.refused(answer, method);
      answer.body.resume();
      await this.pause(attempt, Number(answer.headers['retry-after']));
    }
  }

  /** Reads a response body of at most 4 MiB. */
  text(answer: RegistryAnswer): Promise<Buffer> {
    return readBody(answer, (why) => this.failed(why));
  }

  /** Returns an error that names the registry. */
  failed(why: string, cause?: unknown): JailbuildError {
    return this.#failures.failed(why, cause);
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
    this.#authorization = await this.#challenges.answer(answer.headers['www-authenticate'] ?? '');
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

  async #send(
    method: string,
    target: string | URL,
    { headers = {}, body, onSent }: RegistryRequest,
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
    const sent = {
      headers: { ...headers, ...own },
      ...(body === undefined ? {} : { body }),
      ...(onSent === undefined ? {} : { onSent }),
    };
    let answer: RegistryAnswer;
    try {
      answer = await this.#connections.send(method, url, sent);
    } catch (error) {
      const isPlain = this.#options.tlsVerify === false && isNotTls(codeOf(error));
      if (!isPlain || target instanceof URL) throw error;
      this.#isPlain = true;
      url = urlOf();
      answer = await this.#connections.send(method, url, sent);
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
      answer = await this.#connections.send(method, next, {
        headers: isSame ? sent.headers : { ...headers },
      });
    }
    return answer;
  }

  /** Closes idle connections. */
  close(): void {
    this.#connections.close();
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
}
