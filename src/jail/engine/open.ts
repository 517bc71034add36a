import { nativeProgram } from '../../fs/native-program.js';
import type { Engine } from './engine.js';
import type { NativeEngine } from './native.js';

/**
 * Opens an engine.
 *
 * @param base the directory that it works below
 * @param sourceRoot the directory that sources are named from
 */
export type OpenEngine = (base: string, sourceRoot: string) => Promise<Engine>;

/** Opens the native engine if it is available, otherwise the one in JavaScript. */
export const openEngine: OpenEngine = async (base, sourceRoot) =>
  (await openNativeEngine(base, sourceRoot)) ?? openNodeEngine(base, sourceRoot);

/** Opens the engine in JavaScript. */
export const openNodeEngine: OpenEngine = async (base, sourceRoot) => {
  const { NodeEngine } = await import('./node.js');
  return new NodeEngine(base, sourceRoot);
};

/** Opens the native engine; undefined where it is not built or cannot be executed. */
export async function openNativeEngine(
  base: string,
  sourceRoot: string,
): Promise<NativeEngine | undefined> {
  const program = nativeProgram('jail_engine').found;
  if (program === undefined) return undefined;
  const { NativeEngine } = await import('./native.js');
  return NativeEngine.start(program, base, sourceRoot);
}
