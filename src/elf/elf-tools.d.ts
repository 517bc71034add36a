/** What this project uses of elf-tools, which ships no types. */
declare module 'elf-tools' {
  export interface ProgramHeader {
    /** Undefined for types that the package does not know. */
    readonly type: string | undefined;
    readonly offset: number;
    readonly vaddr: number;
    readonly filesz: number;
    readonly memsz: number;
    readonly align: number;
  }
  export interface Elf {
    readonly header: {
      readonly class: '32' | '64';
      readonly endian: 'lsb' | 'msb';
      readonly type: string | undefined;
      readonly flags: number;
    };
    readonly programs: readonly { readonly header: ProgramHeader }[];
  }
  // The package is CommonJS in a form whose names Node cannot see: only the whole can be imported.
  const elfTools: {
    /** Reverses bytes of the image in place: pass a private copy. */
    parse(image: Buffer): Elf;
  };
  // biome-ignore lint/style/noDefaultExport: this is how the package exports
  export default elfTools;
}
