/** A file that stays open. */
interface Closable {
  close(): void;
}

let registry: FinalizationRegistry<Closable> | undefined;

/**
 * Closes a file once the object that reads it is no longer used.
 *
 * @param file must not refer to its owner
 */
export function closeWhenUnused(owner: object, file: Closable): void {
  registry ??= new FinalizationRegistry((unused) => unused.close());
  registry.register(owner, file);
}
