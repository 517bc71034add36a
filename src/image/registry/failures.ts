import { JailbuildError } from '../../errors.js';
import { isHtml, type RegistryAnswer, readBody } from './answer.js';

/** A connection that ended before the response; thrown for requests that are not repeatable. */
export class BrokenConnection extends JailbuildError {}

/** The errors of one registry. Their messages contain no secrets, which a registry may echo. */
export class RegistryFailures {
  readonly #where: string;
  readonly #secrets = new Set<string>();

  /** @param where names the registry in messages */
  constructor(where: string) {
    this.#where = where;
  }

  /** Keeps a secret out of messages. */
  conceal(secret: string): void {
    if (secret !== '') this.#secrets.add(secret);
  }

  /** Returns an error that names the registry. */
  failed(why: string, cause?: unknown): JailbuildError {
    return new JailbuildError('REGISTRY_FAILED', this.#message(why), this.#where, { cause });
  }

  #message(why: string): string {
    let text = `${this.#where}: ${why}`;
    for (const secret of this.#secrets) text = text.replaceAll(secret, '***');
    return text;
  }

  /**
   * Returns the error of a request without a response.
   *
   * @param isBroken whether the connection ended, and the request must not be sent twice
   */
  unreachable(error: unknown, isBroken: boolean): JailbuildError {
    const code = codeOf(error);
    const message = error instanceof Error ? error.message : String(error);
    if (isUntrusted(code)) {
      return this.failed(
        `has a certificate that is not trusted (${code}): give its authority with --registry-ca`,
        error,
      );
    }
    if (isNotTls(code)) {
      return this.failed('does not speak TLS: give --tls-verify=false for plain HTTP', error);
    }
    const why = this.#message(`cannot be reached: ${message || code}`);
    if (isBroken)
      return new BrokenConnection('REGISTRY_FAILED', why, this.#where, { cause: error });
    return new JailbuildError('REGISTRY_FAILED', why, this.#where, { cause: error });
  }

  /** Returns the error of a response that no caller handles, and reads its body. */
  async refused(answer: RegistryAnswer, method: string): Promise<JailbuildError> {
    const { status, headers } = answer;
    const body = (await readBody(answer, (why) => this.failed(why)).catch(() => Buffer.alloc(0)))
      .toString()
      .trim();
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

/** Returns the code of a system or TLS error; empty for other errors. */
export function codeOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return typeof code === 'string' ? code : '';
}

/** Returns whether the code of an error means a certificate that is not accepted. */
export function isUntrusted(code: string): boolean {
  return /CERT|SELF_SIGNED|ALTNAME|UNABLE_TO/.test(code);
}

/** Returns whether the code of an error means that the server does not speak TLS. */
export function isNotTls(code: string): boolean {
  return /^(EPROTO|ERR_SSL)/.test(code);
}
