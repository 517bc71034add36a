import { nativeProgram } from '../../fs/native-program.js';
import type { Engine } from './engine.js';
import { FrontConnection } from './front-connection.js';
import type { NativeEngine } from './native.js';

/**
 * Opens an engine.
 *
 * @param base the directory that all changes stay below
 * @param sourceRoot the directory that sources are relative to
 */
export type OpenEngine = (base: string, sourceRoot: string) => Promise<Engine>;

/** Opens the native engine if available, otherwise the Node engine. */
export const openEngine: OpenEngine = async (base, sourceRoot) =>
  (await openNativeEngine(base, sourceRoot)) ?? openNodeEngine(base, sourceRoot);

/** Opens the Node engine. */
export const openNodeEngine: OpenEngine = async (base, sourceRoot) => {
  const { NodeEngine } = await import('./node.js');
  return new NodeEngine(base, sourceRoot);
};

/** Opens the native engine; undefined if it is not built or cannot be executed. */
export async function openNativeEngine(
  base: string,
  sourceRoot: string,
): Promise<NativeEngine | undefined> {
  const { NativeEngine } = await import('./native.js');
  if (FrontConnection.isFree) {
    return NativeEngine.start((receiver) => FrontConnection.open(receiver), base, sourceRoot);
  }
  const program = nativeProgram('jail_engine').found;
  if (program === undefined) return undefined;
  const { ChildConnection } = await import('./child-connection.js');
  return NativeEngine.start(
    (receiver) => ChildConnection.start(program, receiver),
    base,
    sourceRoot,
  );
}
