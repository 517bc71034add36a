import { fromBytes } from '../../fs/path-bytes.js';

/** A record of the observer's report (src/native/observer/report.c). */
export interface ObservedUse {
  readonly use: string;
  readonly result: string;
  readonly program: string;
  readonly path: string;
}

/** What the observer counts in addition to uses. */
export interface ObservedCounts {
  /** Names that could not be read, of programs whose memory is not readable. */
  readonly unread: number;
  /** Uses in roots that the run made for itself. */
  readonly elsewhere: number;
  /** Uses that were not recorded, for lack of memory. */
  readonly dropped: number;
  /** Attempts to trace a process; the observer makes them fail. */
  readonly tracers: number;
  /** Listeners for system calls, which hide calls from the observer. */
  readonly listeners: number;
}

/** The end of a run's report. */
export interface ObservedEnd {
  readonly status: number;
  /** False if the command could not be executed: the status is then 125, 126 or 127. */
  readonly hasStarted: boolean;
  readonly counts: ObservedCounts;
}

const FIELDS = 4;
/** A root's prefix and a name below it, each of at most PATH_MAX bytes. */
const MAX_FIELD = 2 * 4096;

/** Reads the observer's report as it arrives. */
export class ReportReader {
  readonly #onUse: (use: ObservedUse) => void;
  readonly #counts = { unread: 0, elsewhere: 0, dropped: 0, tracers: 0, listeners: 0 };
  #rest = Buffer.alloc(0);
  #fields: string[] = [];
  #status: number | undefined;
  readonly #starts = new Set<string>();
  #failure: string | undefined;

  constructor(onUse: (use: ObservedUse) => void) {
    this.#onUse = onUse;
  }

  /** Takes the next bytes. Ignores records that it does not know. */
  take(chunk: Buffer): void {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    let from = 0;
    for (let end = bytes.indexOf(0); end >= 0; end = bytes.indexOf(0, from)) {
      this.#fields.push(fromBytes(bytes.subarray(from, end)));
      from = end + 1;
      if (this.#fields.length === FIELDS) this.#finish();
    }
    this.#rest = Buffer.from(bytes.subarray(from, from + MAX_FIELD));
  }

  counts(): ObservedCounts {
    return { ...this.#counts };
  }

  /** Returns why the observer could not observe the command; undefined if it could. */
  failure(): string | undefined {
    return this.#failure;
  }

  /** Returns the end of the run; undefined if the observer ended before the run did. */
  end(): ObservedEnd | undefined {
    if (this.#status === undefined) return undefined;
    const hasStarted = this.#starts.has('found') && !this.#starts.has('denied');
    return { status: this.#status, hasStarted, counts: this.counts() };
  }

  #finish(): void {
    const [use = '', result = '', program = '', path = ''] = this.#fields;
    this.#fields = [];
    if (use === 'exit') this.#status = Number(path);
    else if (use === 'start') this.#starts.add(result);
    else if (use === 'error') this.#failure = path;
    else if (use !== 'count') this.#onUse({ use, result, program, path });
    else if (Object.hasOwn(this.#counts, result))
      this.#counts[result as keyof ObservedCounts] = Number(path);
  }
}
