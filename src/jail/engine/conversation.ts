import type { Connect, Connection } from './connection.js';
import type { Engine } from './engine.js';
import { FrontConnection } from './front-connection.js';
import { NativeEngine } from './native.js';
import { type OpenEngine, openEngine } from './open.js';
import { ReplyKind, ReplyReader } from './protocol.js';

/** What was said to the front as the writer, and what it replied other than that an operation is done. */
export interface Heard {
  /** The directory that it was about. */
  readonly base: string;
  /** Requests as they were sent. */
  readonly requests: readonly Buffer[];
  /** Replies as they came, in any order. */
  readonly replies: readonly Buffer[];
}

/** Notes everything that an engine says to the front, so that the front can repeat it. */
export class Conversation {
  readonly #requests: (readonly Buffer[])[] = [];
  readonly #replies: Buffer[] = [];
  readonly #bases: string[] = [];
  #hasFailed = false;

  readonly open: OpenEngine = async (base, sourceRoot): Promise<Engine> => {
    const engine = FrontConnection.isFree
      ? NativeEngine.start(this.#connect, base, sourceRoot)
      : undefined;
    if (engine === undefined) this.#hasFailed = true;
    this.#bases.push(base);
    return engine ?? openEngine(base, sourceRoot);
  };

  /** Returns everything said in the one session; undefined if there were several, or if an operation failed. */
  heard(): Heard | undefined {
    const [base, ...others] = this.#bases;
    if (this.#hasFailed || base === undefined || others.length > 0) return undefined;
    return { base, requests: this.#requests.flat(), replies: this.#replies };
  }

  readonly #connect: Connect = (receiver): Connection => {
    const reader = new ReplyReader();
    const front = FrontConnection.open({
      ...receiver,
      take: (bytes) => {
        for (const { kind, errno, raw } of reader.read(bytes)) {
          if (kind === ReplyKind.warning || kind === ReplyKind.data) this.#replies.push(raw);
          else if (kind !== ReplyKind.done && (kind !== ReplyKind.end || errno !== 0))
            this.#hasFailed = true;
        }
        receiver.take(bytes);
      },
    });
    return {
      write: (request) => {
        this.#requests.push(request);
        front.write(request);
      },
      expect: (isAside) => front.expect(isAside),
      close: () => front.close(),
    };
  };
}
