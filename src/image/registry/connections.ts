import http from 'node:http';
import https from 'node:https';
import type { RegistryOptions } from './access.js';
import type { RegistryAnswer } from './answer.js';
import { authoritiesFor, clientCertificateFor } from './certificates.js';
import type { RegistryFailures } from './failures.js';
import {
  type HttpProxy,
  ProxyRefusal,
  proxyError,
  proxyFor,
  TunnelAgent,
  throughProxy,
} from './proxy.js';

/** A request as it is sent. */
export interface SentRequest {
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Buffer;
  /** Called with the number of bytes of the body that are sent; from 0 on if the request is sent again. */
  readonly onSent?: (bytes: number) => void;
}

/** Size in bytes of the parts of a body after which progress is reported. */
const REPORTED = 256 << 10;
/** Maximum time without a byte, in milliseconds. */
const IDLE = 60_000;

/** The connections to a registry and the services that it names, directly or through a proxy. */
export class RegistryConnections {
  /** Whether a server has responded before. */
  isReached = false;
  readonly #host: string;
  readonly #options: RegistryOptions;
  readonly #failures: RegistryFailures;
  /** By the proxy that they use; undefined for none. */
  readonly #agents = new Map<string | undefined, https.Agent>();

  /** @param host the registry's, whose certificates are used */
  constructor(host: string, options: RegistryOptions, failures: RegistryFailures) {
    this.#host = host;
    this.#options = options;
    this.#failures = failures;
  }

  /**
   * Sends one request.
   *
   * @throws JailbuildError REGISTRY_FAILED for a URL that is not encrypted, without --tls-verify=false
   */
  send(method: string, url: URL, { headers, body, onSent }: SentRequest): Promise<RegistryAnswer> {
    const isPlain = url.protocol === 'http:';
    if (isPlain && this.#options.tlsVerify !== false) {
      throw this.#failures.failed(
        `redirects to ${url.origin}, which is not encrypted: see --tls-verify`,
      );
    }
    const length = isReading(method) ? {} : { 'content-length': String(body?.length ?? 0) };
    const proxy = proxyFor(url, process.env);
    const via = isPlain ? proxy : undefined;
    const forward = via === undefined ? undefined : throughProxy(via, url);
    const isSecure = (forward?.protocol ?? url.protocol) === 'https:';
    const options = {
      ...this.#requestOptions(),
      ...(isPlain && isSecure ? this.#trust() : {}),
      ...forward,
      method,
      headers: { 'user-agent': 'jailbuild', ...headers, ...length, ...forward?.headers },
      ...(isPlain ? {} : { agent: this.#tlsAgent(proxy) }),
    };
    return new Promise((resolve, reject) => {
      const request = (isSecure ? https : http).request(url, options, (answer) => {
        const { statusCode: status = 0, headers: sent } = answer;
        if (via !== undefined && status === 407) {
          answer.resume();
          reject(new ProxyRefusal(via, url.host, status));
          return;
        }
        this.isReached = true;
        resolve({ status, headers: sent, url, body: answer });
      });
      request.on('timeout', () => request.destroy(new TimeoutError()));
      request.on('error', (error) => {
        reject(via === undefined ? error : proxyError(via, error));
      });
      if (body === undefined || onSent === undefined) request.end(body);
      else writeBody(request, body, onSent);
    });
  }

  /** Returns the options of every request, to a registry or a proxy. */
  #requestOptions(): https.RequestOptions {
    const { signal } = this.#options;
    return { timeout: IDLE, ...(signal === undefined ? {} : { signal }) };
  }

  /** Returns which certificates are accepted, of a registry or a proxy. */
  #trust(): Pick<https.AgentOptions, 'ca' | 'rejectUnauthorized'> {
    return {
      rejectUnauthorized: this.#options.tlsVerify !== false,
      ca: authoritiesFor(this.#host, this.#options),
    };
  }

  #tlsAgent(proxy: HttpProxy | undefined): https.Agent {
    const key = proxy?.url.href;
    let agent = this.#agents.get(key);
    if (agent === undefined) {
      const trust = this.#trust();
      const certificate = clientCertificateFor(this.#host, this.#options);
      const options = { keepAlive: true, ...trust, ...certificate };
      agent =
        proxy === undefined
          ? new https.Agent(options)
          : new TunnelAgent(options, proxy, { ...this.#requestOptions(), ...trust });
      this.#agents.set(key, agent);
    }
    return agent;
  }

  /** Closes idle connections. */
  close(): void {
    for (const agent of this.#agents.values()) agent.destroy();
  }
}

/** Writes a body in parts, each after the one before it was passed to the system. */
function writeBody(
  request: http.ClientRequest,
  body: Buffer,
  onSent: (bytes: number) => void,
): void {
  const writeFrom = (at: number): void => {
    onSent(at);
    if (at === body.length) {
      request.end();
      return;
    }
    const end = Math.min(at + REPORTED, body.length);
    request.write(body.subarray(at, end), (error) => {
      // Errors are reported by the request.
      if (!error) writeFrom(end);
    });
  };
  writeFrom(0);
}

class TimeoutError extends Error {
  readonly code = 'ETIMEDOUT';
  override readonly message = 'no answer in time';
}

/** Returns whether a method has no effect. */
export function isReading(method: string): boolean {
  return method === 'GET' || method === 'HEAD';
}
