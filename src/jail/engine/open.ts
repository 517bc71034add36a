import { nativeProgram } from '../../fs/native-program.js';
import type { Engine } from './engine.js';
import { FrontConnection } from './front-connection.js';
import type { NativeEngine } from './native.js';

/**
 * The best engine that there is on this machine; with `JAILBUILD_ENGINE=node` in the environment, the
 * one in JavaScript.
 *
 * @param base the directory that it works below
 * @param sourceRoot the directory that sources are named from
 */
export async function openEngine(base: string, sourceRoot: string): Promise<Engine> {
  const native = await openNativeEngine(base, sourceRoot);
  if (native !== undefined) return native;
  const { NodeEngine } = await import('./node.js');
  return new NodeEngine(base, sourceRoot);
}

/** The native engine, or undefined where it is not built or cannot be executed. */
export async function openNativeEngine(
  base: string,
  sourceRoot: string,
): Promise<NativeEngine | undefined> {
  if (process.env.JAILBUILD_ENGINE === 'node') return undefined;
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
