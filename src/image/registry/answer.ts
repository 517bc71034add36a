import type http from 'node:http';

/** The response of a registry; its body must be read or resumed. */
export interface RegistryAnswer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  /** Final URL after redirects. */
  readonly url: URL;
  readonly body: http.IncomingMessage;
}

/**
 * Reads the body of a response.
 *
 * @param most limit in bytes
 * @param failed makes the error of a larger body
 */
export async function readBody(
  { body }: RegistryAnswer,
  failed: (why: string) => Error,
  most = 4 << 20,
): Promise<Buffer> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of body as AsyncIterable<Buffer>) {
    size += part.length;
    if (size > most) throw failed(`sent more than ${most} bytes`);
    parts.push(part);
  }
  return Buffer.concat(parts);
}

/** Returns whether a response is a web page. */
export function isHtml(headers: http.IncomingHttpHeaders): boolean {
  return /\bx?html\b/.test(headers['content-type'] ?? '');
}
