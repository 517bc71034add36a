import { errnoText, JailbuildError } from '../../errors.js';
import type { Entry } from '../../manifest/manifest.js';
import type { AttributeWarning, Engine } from '../engine/engine.js';
import { isPrivileged, unprivilegedLoss } from './stage.js';
import type { Step } from './transaction.js';

/** Attributes that only root can set: reported once, not for each file. */
const ROOT_ATTRIBUTE = /^(owner|mode|security\.|trusted\.)/;

/** Reports deviations from the plan as warnings or errors. */
export class Fidelity {
  /** Paths that could not be made, with the reason. */
  readonly notMade = new Map<string, string>();
  readonly #strict: boolean;
  readonly #onWarning: (message: string) => void;

  constructor(strict: boolean, onWarning: (message: string) => void = () => {}) {
    this.#strict = strict;
    this.#onWarning = onWarning;
  }

  /**
   * Reports deviations known in advance, once.
   *
   * @throws JailbuildError NOT_EXACT
   */
  announce(entries: readonly Entry[], engine: Engine): void {
    for (const loss of [unprivilegedLoss(entries), engine.shortcoming]) {
      if (loss !== undefined) this.#tell(loss);
    }
  }

  /** @throws JailbuildError NOT_EXACT */
  readonly note = (step: Step, { attribute, errno }: AttributeWarning): void => {
    const reason = errnoText(errno);
    if (attribute === 'node') {
      const message = `cannot be made: ${reason}`;
      this.notMade.set(step.subject, message);
      this.#tell(`${step.subject}: ${message}`, step.subject);
    } else if (isPrivileged() || !ROOT_ATTRIBUTE.test(attribute)) {
      this.#tell(`${step.subject}: ${attribute} cannot be kept: ${reason}`, step.subject);
    }
  };

  #tell(message: string, path?: string): void {
    if (this.#strict) throw new JailbuildError('NOT_EXACT', message, path);
    this.#onWarning(message);
  }
}
