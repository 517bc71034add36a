import { TAR_END, type TarMember, tarHeader, tarPadding } from '../../src/export/tar.js';

export type Given = Partial<TarMember> &
  Pick<TarMember, 'name' | 'type'> & { readonly text?: string };

/** Returns an uncompressed layer with these members. */
export function layer(...members: readonly Given[]): Buffer {
  const parts = members.flatMap(({ text = '', ...member }) => {
    const size = Buffer.byteLength(text);
    const common = { mode: 0o644, uid: 0, gid: 0, mtime: 0n };
    return [tarHeader({ ...common, ...member, size }), Buffer.from(text), tarPadding(size)];
  });
  return Buffer.concat([...parts, TAR_END]);
}

export const file = (name: string, text = name): Given => ({ name, type: 'file', text });
export const directory = (name: string, mode = 0o755): Given => ({
  name: `${name}/`,
  type: 'directory',
  mode,
});
export const symlink = (name: string, linkname: string): Given => ({
  name,
  type: 'symlink',
  linkname,
});
export const hardlink = (name: string, linkname: string): Given => ({
  name,
  type: 'hardlink',
  linkname,
});
