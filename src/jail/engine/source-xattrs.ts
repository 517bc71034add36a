import { type AttributesByPath, recordedAttributes } from '../../fs/recorded-attributes.js';
import type { Manifest } from '../../manifest/manifest.js';
import { openNativeEngine } from './open.js';

/**
 * Adds the extended attributes of every source, such as capabilities and ACLs. Node cannot read them: without the
 * native engine, the manifest is returned unchanged.
 *
 * @param sourceRoot the real path of the sysroot, '' for `/`
 */
export async function addXattrs<M extends Pick<Manifest, 'entries'>>(
  manifest: M,
  sourceRoot: string,
): Promise<M> {
  const recorded = recordedAttributes(sourceRoot);
  if (recorded !== undefined) return withRecorded(manifest, recorded);
  const root = sourceRoot || '/';
  const engine = await openNativeEngine(root, root);
  if (engine === undefined) return manifest;
  try {
    const sources = manifest.entries.flatMap(({ type, source }) =>
      source !== undefined && (type === 'file' || type === 'directory') ? [source] : [],
    );
    const found = await engine.xattrs(sources.map((source) => source.slice(1)));
    const bySource = new Map([...found].map(([index, xattrs]) => [sources[index], xattrs]));
    return {
      ...manifest,
      entries: manifest.entries.map((entry) => {
        const xattrs = bySource.get(entry.source);
        return xattrs === undefined ? entry : { ...entry, xattrs };
      }),
    };
  } finally {
    await engine.close();
  }
}

/** An unpacked image keeps its attributes beside its files. */
function withRecorded<M extends Pick<Manifest, 'entries'>>(
  manifest: M,
  recorded: AttributesByPath,
): M {
  return {
    ...manifest,
    entries: manifest.entries.map((entry) => {
      const xattrs = recorded.get(entry.source ?? '')?.xattrs;
      return xattrs === undefined || entry.type === 'symlink' ? entry : { ...entry, xattrs };
    }),
  };
}
