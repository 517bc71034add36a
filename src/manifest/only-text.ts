import { JailbuildError } from '../errors.js';

/**
 * Refuses values that other programs could not read from JSON: bytes that are not UTF-8, and NUL, which no argument,
 * variable or path can contain.
 *
 * @param subject names the texts in the message
 * @throws JailbuildError USAGE
 */
export function refuseNonText(value: object, subject: string): void {
  const check = (text: unknown): void => {
    if (typeof text !== 'string') return;
    if (!text.isWellFormed()) refuse('is not UTF-8, which JSON cannot represent');
    if (text.includes('\0')) refuse('contains a NUL byte: remove it');
  };
  const refuse = (why: string): never => {
    throw new JailbuildError('USAGE', `${subject} ${why}`);
  };
  JSON.stringify(value, (key, inner: unknown) => {
    check(key);
    check(inner);
    return inner;
  });
}
