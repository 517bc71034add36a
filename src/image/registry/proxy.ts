import http from 'node:http';
import https from 'node:https';
import { BlockList, isIP } from 'node:net';
import type { Duplex } from 'node:stream';
import { JailbuildError } from '../../errors.js';
import { codeOf, isNotTls, isUntrusted } from './failures.js';

/** An HTTP proxy. */
export interface HttpProxy {
  /** Without user and password. */
  readonly url: URL;
  /** Value of `Proxy-Authorization`. */
  readonly authorization?: string;
}

/** A proxy that did not open a tunnel; the message has no secret. */
export class ProxyRefusal extends Error {
  readonly code: string;

  constructor(proxy: HttpProxy, host: string, status: number) {
    super(refusalOf(proxy, host, status));
    this.code = status >= 500 ? 'EPROXYBUSY' : 'EPROXY';
  }
}

/** Returns an error of the connection to a proxy that names the proxy. Its TLS is not that of the registry. */
export function proxyError({ url }: HttpProxy, error: Error): Error {
  const code = codeOf(error);
  const named = (why: string, as: string) =>
    Object.assign(new Error(`the proxy ${url.origin}${why}`), as === '' ? {} : { code: as });
  if (isUntrusted(code)) {
    const why = ` has a certificate that is not trusted (${code}): give its authority with --registry-ca`;
    return named(why, 'EPROXY');
  }
  if (isNotTls(code)) return named(' does not speak TLS: give http:// in its URL', 'EPROXY');
  return named(`: ${error.message}`, code);
}

/** Returns what a status of a proxy means. */
export function refusalOf({ url, authorization }: HttpProxy, host: string, status: number): string {
  if (status !== 407) return `the proxy ${url.origin} answers ${status} for ${host}`;
  return authorization === undefined
    ? `the proxy ${url.origin} wants a user and a password (407): give them in the proxy's URL`
    : `the proxy ${url.origin} refuses the user and password of its URL (407)`;
}

/**
 * Returns the proxy for a URL as skopeo and podman choose it (golang.org/x/net/http/httpproxy): that of `HTTPS_PROXY`
 * or `HTTP_PROXY`, also in lower case, unless `NO_PROXY` lists the host. `localhost` and loopback addresses have none.
 *
 * @throws JailbuildError USAGE for a value that is not the URL of a proxy
 */
export function proxyFor(url: URL, environment: NodeJS.ProcessEnv): HttpProxy | undefined {
  const upper = url.protocol === 'https:' ? 'HTTPS_PROXY' : 'HTTP_PROXY';
  const names = [upper, upper.toLowerCase(), 'NO_PROXY', 'no_proxy'];
  const [first = '', second = '', exceptions = '', otherExceptions = ''] = names.map(
    (name) => environment[name] || undefined,
  );
  const text = first || second;
  if (text === '' || isExcepted(url, exceptions || otherExceptions)) return undefined;
  return parseProxy(text, first === '' ? upper.toLowerCase() : upper);
}

function parseProxy(text: string, name: string): HttpProxy {
  const whole = /^[a-z][a-z\d+.-]*:\/\//i.test(text) ? text : `http://${text}`;
  const parsed = URL.canParse(whole) ? new URL(whole) : undefined;
  if (parsed === undefined || !/^https?:$/.test(parsed.protocol) || parsed.hostname === '') {
    // The value may have a password.
    throw new JailbuildError(
      'USAGE',
      `${name} is not the URL of an HTTP proxy: give http://HOST:PORT`,
    );
  }
  const url = new URL(parsed.origin);
  if (parsed.username === '' && parsed.password === '') return { url };
  const user = [parsed.username, parsed.password].map(decoded).join(':');
  return { url, authorization: `Basic ${Buffer.from(user).toString('base64')}` };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function isExcepted(url: URL, list: string): boolean {
  const host = bareHost(url);
  const port = url.port || defaultPort(url);
  if (host === 'localhost' || isLoopback(host)) return true;
  return list
    .split(',')
    .map((item) => item.trim().toLowerCase())
    .some((item) => item !== '' && (item === '*' || matches(item, host, port)));
}

/**
 * Returns whether an item of `NO_PROXY` stands for a host: an address, a network (CIDR), or a domain with the hosts below
 * it; `.domain` and `*.domain` stand for these hosts alone. All but networks may have a port.
 */
function matches(item: string, host: string, port: string): boolean {
  const network = /^(.+)\/(\d+)$/.exec(item);
  if (network !== null) return isIn(host, network[1] ?? '', Number(network[2]));
  const [, name = '', wanted] =
    isIP(item) === 6 ? ['', item] : (/^(.*?)(?::(\d+))?$/.exec(item) ?? []);
  if (wanted !== undefined && wanted !== port) return false;
  const bare = name.replace(/^\[(.*)\]$/, '$1');
  if (isIP(bare) !== 0) return isIn(host, bare, isIP(bare) === 4 ? 32 : 128);
  const below = bare.replace(/^\*?\.?/, '.');
  return host.endsWith(below) || (below.slice(1) === bare && host === bare);
}

function isIn(host: string, network: string, prefix: number): boolean {
  const family = isIP(host);
  if (family === 0 || isIP(network) !== family || prefix > (family === 4 ? 32 : 128)) return false;
  const kind = family === 4 ? 'ipv4' : 'ipv6';
  const list = new BlockList();
  list.addSubnet(network, prefix, kind);
  return list.check(host, kind);
}

function isLoopback(host: string): boolean {
  return isIn(host, '127.0.0.0', 8) || host === '::1';
}

/** Returns the host without the brackets of IPv6 addresses. */
function bareHost(url: URL): string {
  return url.hostname.replace(/^\[(.*)\]$/, '$1').toLowerCase();
}

function defaultPort(url: URL): string {
  return url.protocol === 'https:' ? '443' : '80';
}

/** Returns the request options that send a request for a URL to a proxy (RFC 9112, "absolute-form"). */
export function throughProxy(
  { url: proxy, authorization }: HttpProxy,
  url: URL,
): https.RequestOptions & { readonly headers: Readonly<Record<string, string>> } {
  return {
    ...addressOf(proxy),
    path: url.href,
    headers: {
      host: url.host,
      ...(authorization === undefined ? {} : { 'proxy-authorization': authorization }),
    },
  };
}

function addressOf(proxy: URL): https.RequestOptions {
  const { protocol } = proxy;
  const hostname = bareHost(proxy);
  // Otherwise Node takes the Host header, which names the registry. Addresses are no server names (RFC 6066).
  const servername = isIP(hostname) === 0 ? hostname : '';
  return { protocol, hostname, port: proxy.port || defaultPort(proxy), servername };
}

type Connected = (error: Error | null, stream: Duplex) => void;

/** A TLS agent whose connections are tunnels through a proxy (RFC 9110, "CONNECT"). */
export class TunnelAgent extends https.Agent {
  readonly #proxy: HttpProxy;
  readonly #request: https.RequestOptions;

  /** @param request options of the requests to the proxy, such as time-outs and authorities */
  constructor(options: https.AgentOptions, proxy: HttpProxy, request: https.RequestOptions) {
    super(options);
    this.#proxy = proxy;
    this.#request = request;
  }

  override createConnection(options: https.RequestOptions, connected?: Connected): undefined {
    const { url, authorization } = this.#proxy;
    const host = String(options.host);
    const target = `${isIP(host) === 6 ? `[${host}]` : host}:${options.port}`;
    const failed = (error: Error) => {
      const named = error instanceof ProxyRefusal ? error : proxyError(this.#proxy, error);
      connected?.(named, undefined as unknown as Duplex);
    };
    const request = (url.protocol === 'https:' ? https : http).request({
      ...this.#request,
      ...addressOf(url),
      method: 'CONNECT',
      path: target,
      headers: {
        host: target,
        'user-agent': 'jailbuild',
        ...(authorization === undefined ? {} : { 'proxy-authorization': authorization }),
      },
      agent: false,
    });
    request.on('connect', ({ statusCode = 0 }, socket) => {
      if (statusCode >= 200 && statusCode < 300) {
        socket.setTimeout(0);
        const stream = super.createConnection({ ...options, socket } as https.RequestOptions);
        connected?.(null, stream as Duplex);
        return;
      }
      socket.destroy();
      failed(new ProxyRefusal(this.#proxy, target, statusCode));
    });
    request.on('timeout', () => request.destroy(new ProxyRefusal(this.#proxy, target, 504)));
    request.on('error', failed);
    request.end();
    return undefined;
  }
}
