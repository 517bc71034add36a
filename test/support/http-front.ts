import http from 'node:http';
import https from 'node:https';
import type { AddressInfo } from 'node:net';

/** A request to the front. */
export interface Asked {
  readonly method: string;
  /** Includes the query. */
  readonly url: string;
  readonly headers: http.IncomingHttpHeaders;
}

/** Answers a request and returns true, or leaves it to the server behind. */
export type Answer = (
  request: http.IncomingMessage,
  response: http.ServerResponse,
) => boolean | Promise<boolean>;

export interface HttpFront {
  /** Such as `127.0.0.1:5000`. */
  readonly address: string;
  readonly asked: readonly Asked[];
  stop(): Promise<void>;
}

/**
 * Starts a server that answers some requests for a test, and passes the rest to a server behind it.
 *
 * @param behind a port of 127.0.0.1; without it, unanswered requests get 404
 * @param tls certificate and key (PEM)
 */
export async function startFront(
  answer: Answer,
  behind?: number,
  tls?: { readonly cert: string; readonly key: string },
): Promise<HttpFront> {
  const asked: Asked[] = [];
  const onRequest = async (request: http.IncomingMessage, response: http.ServerResponse) => {
    const { method = '', url = '', headers } = request;
    asked.push({ method, url, headers });
    if (await answer(request, response)) return;
    if (behind === undefined) {
      response.writeHead(404).end();
      return;
    }
    const passed = { ...headers, ...(tls === undefined ? {} : { 'x-forwarded-proto': 'https' }) };
    const inner = http.request(
      { port: behind, host: '127.0.0.1', method, path: url, headers: passed, agent: false },
      (reply) => {
        response.writeHead(reply.statusCode ?? 502, reply.headers);
        reply.pipe(response);
      },
    );
    inner.on('error', () => response.destroy());
    request.pipe(inner);
  };
  const listener = (request: http.IncomingMessage, response: http.ServerResponse) => {
    onRequest(request, response).catch(() => response.destroy());
  };
  const server =
    tls === undefined ? http.createServer(listener) : https.createServer(tls, listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    address: `127.0.0.1:${port}`,
    asked,
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
