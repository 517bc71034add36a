/** Types for the part of elf-tools that this project uses; the package ships none. */
declare module 'elf-tools' {
  export interface ProgramHeader {
    /** Undefined for types unknown to the package. */
    readonly type: string | undefined;
    readonly offset: number;
    readonly vaddr: number;
    readonly filesz: number;
    readonly memsz: number;
    readonly align: number;
    /** Names of p_flags, joined by `|`. */
    readonly flags: string;
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
  // The package is CommonJS whose names Node cannot detect, so only its default export can be imported.
  const elfTools: {
    /** Reverses bytes of the image in place: pass a private copy. */
    parse(image: Buffer): Elf;
  };
  // biome-ignore lint/style/noDefaultExport: this is how the package exports
  export default elfTools;
}
