import type { RegistryAccess } from '../image/registry/access.js';
import { type Checks, checked, oneOf, text } from '../manifest/check-request.js';
import { type Document, Field } from '../manifest/json-field.js';

/**
 * Checks the options of a call.
 *
 * @throws JailbuildError USAGE, naming the option: `options: strict: is neither true nor false`
 */
export function checkOptions<T extends object>(value: unknown, checks: Checks<T>): T {
  const document: Document = { name: 'options', code: 'USAGE' };
  return checked(new Field(value, document), checks);
}

/**
 * Checks a path argument of a call.
 *
 * @param name the name of the argument, for messages
 * @throws JailbuildError USAGE
 */
export function checkPath(value: unknown, name: string): string {
  return text(new Field(value, { name, code: 'USAGE' }));
}

export const flag = (field: Field): boolean => field.boolean();

export const changedChoice = oneOf('keep-configuration', 'keep', 'replace');

/** Accepts a function; its signature cannot be checked. */
export function callback<F>(field: Field): F {
  return typeof field.value === 'function' ? (field.value as F) : field.refuse('is not a function');
}

export function abortSignal(field: Field): AbortSignal {
  return field.value instanceof AbortSignal ? field.value : field.refuse('is not an AbortSignal');
}

/** Accepts a value that is checked where it is used. */
export function anything<T>(field: Field): T {
  return field.value as T;
}

const REGISTRY: Checks<RegistryAccess> = {
  tlsVerify: flag,
  caFile: text,
  certDir: text,
  authFile: text,
};

export function registryAccess(field: Field): RegistryAccess {
  return checked(field, REGISTRY);
}
