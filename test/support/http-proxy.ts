import http from 'node:http';
import https from 'node:https';
import { type AddressInfo, connect } from 'node:net';
import type { Asked } from './http-front.js';

export interface HttpProxy {
  /** Such as `127.0.0.1:3128`. */
  readonly address: string;
  /** `CONNECT`, or the method of a forwarded request. */
  readonly asked: readonly Asked[];
  stop(): Promise<void>;
}

/**
 * Starts an HTTP proxy that tunnels and forwards. Every host name leads to 127.0.0.1.
 *
 * @param refuse returns a status instead of passing a request on
 * @param tls certificate and key (PEM), to speak TLS
 */
export async function startProxy(
  refuse: (asked: Asked) => number | undefined,
  tls?: { readonly cert: Buffer; readonly key: Buffer },
): Promise<HttpProxy> {
  const asked: Asked[] = [];
  const note = ({ method = '', url = '', headers }: http.IncomingMessage) => {
    const item = { method, url, headers };
    asked.push(item);
    return refuse(item);
  };
  const forward: http.RequestListener = (request, response) => {
    const status = note(request);
    if (status !== undefined || !URL.canParse(request.url ?? '')) {
      response.writeHead(status ?? 400).end();
      return;
    }
    const { port, pathname, search, host } = new URL(request.url ?? '');
    const options = { host: '127.0.0.1', port, path: `${pathname}${search}`, agent: false };
    const { method = '', headers } = request;
    const inner = http.request({ ...options, method, headers: { ...headers, host } }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    });
    inner.on('error', () => response.destroy());
    request.pipe(inner);
  };
  const server = tls === undefined ? http.createServer(forward) : https.createServer(tls, forward);
  const tunnels = new Set<{ destroy(): unknown }>();
  server.on('connect', (request, socket) => {
    tunnels.add(socket);
    socket.on('error', () => socket.destroy());
    const status = note(request);
    if (status !== undefined) {
      socket.end(`HTTP/1.1 ${status} No\r\nContent-Length: 0\r\n\r\n`);
      return;
    }
    const inner = connect(Number(/:(\d+)$/.exec(request.url ?? '')?.[1]), '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 Connected\r\n\r\n');
      inner.pipe(socket);
      socket.pipe(inner);
    });
    inner.on('error', () => socket.destroy());
    socket.on('close', () => inner.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    async stop() {
      for (const tunnel of tunnels) tunnel.destroy();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
