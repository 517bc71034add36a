import type { Inspection } from '../../elf/inspect.js';
import type { Note } from '../../elf/notes.js';
import type { SymbolVersions } from '../../elf/types.js';
import { fileTypeName, machineName, osAbiName, sectionTypeName, segmentName } from './elf-names.js';
import { printable } from './text.js';

const hex = (number: number | bigint): string => `0x${number.toString(16)}`;

/** Formats what an ELF file declares. */
export function inspectionText(path: string, elf: Inspection): string {
  const { headers, dynamic } = elf;
  const facts: (readonly [name: string, value: string | undefined])[] = [
    ['File', path],
    ['Class', `ELF${headers.class}, ${headers.byteOrder} endian`],
    ['Type', fileTypeName(elf.fileType)],
    ['Machine', `${machineName(headers.machine)}, flags ${hex(headers.flags)}`],
    ['OS ABI', `${osAbiName(elf.osAbi)}, version ${elf.abiVersion}`],
    ['Entry', hex(elf.entry)],
    ['Interpreter', elf.interpreter],
    ['Soname', dynamic?.soname],
    ['Needed', list(dynamic?.needed)],
    ['Versions', list(dynamic?.versions.needs.map(({ file, version }) => `${file}(${version})`))],
    ['RPATH', dynamic?.rpath],
    ['RUNPATH', dynamic?.runpath],
    ['Filter', list(dynamic?.filters)],
    ['Auxiliary', list(dynamic?.auxiliaries)],
    ['Audit', list(dynamic?.audits)],
    ['Build ID', elf.buildId],
    ['Package', elf.package === undefined ? undefined : JSON.stringify(elf.package)],
  ];
  const lines = facts.flatMap(([name, value]) =>
    value === undefined ? [] : [`${`${name}:`.padEnd(13)}${printable(value)}`],
  );
  for (const { sonames, priority, feature, description } of elf.dlopens) {
    const why = [feature, description].filter((text) => text !== undefined).join(': ');
    const text = `${sonames.join(' or ')} (${priority}${why === '' ? '' : `; ${why}`})`;
    lines.push(`${'Opens:'.padEnd(13)}${printable(text)}`);
  }
  for (const problem of elf.problems) lines.push(`${'Problem:'.padEnd(13)}${printable(problem)}`);
  return `${[...lines, ...tables(elf)].join('\n')}\n`;
}

function list(names: readonly string[] | undefined): string | undefined {
  return names === undefined || names.length === 0 ? undefined : names.join(', ');
}

function tables({ programHeaders, sections, notes }: Inspection): string[] {
  const segments = programHeaders.map(({ type, flags, offset, address, fileSize, memorySize }) => [
    ...[segmentName(type), permissions(flags), hex(offset), hex(address)],
    ...[String(fileSize), String(memorySize)],
  ]);
  const parts = sections.map(({ name, type, address, offset, size }, index) => [
    ...[String(index), name, sectionTypeName(type), hex(address), hex(offset), String(size)],
  ]);
  return [
    '',
    ...table(['SEGMENT', 'FLAGS', 'OFFSET', 'ADDRESS', 'IN FILE', 'IN MEMORY'], segments),
    '',
    ...(parts.length === 0
      ? ['No section headers.']
      : table(['NR', 'SECTION', 'TYPE', 'ADDRESS', 'OFFSET', 'SIZE'], parts)),
    ...(notes.length === 0 ? [] : ['', ...table(['NOTE', 'TYPE', 'BYTES'], notes.map(noteRow))]),
  ];
}

function noteRow({ owner, type, description }: Note): string[] {
  return [owner, hex(type), String(description.length)];
}

function permissions(flags: number): string {
  return `${flags & 4 ? 'r' : '-'}${flags & 2 ? 'w' : '-'}${flags & 1 ? 'x' : '-'}`;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const cells = [head, ...rows].map((row) => row.map(printable));
  const widths = head.map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)));
  return cells.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}

/** JSON numbers are exact below 2^53 only: larger ones become hexadecimal strings. */
function printableNumbers(values: object): Record<string, unknown> {
  const entries = Object.entries(values);
  return Object.fromEntries(
    entries.map(([name, value]) => [name, typeof value === 'bigint' ? hex(value) : value]),
  );
}

/** Returns what an ELF file declares as plain data, for `--json`. */
export function inspectionJson(path: string, elf: Inspection): object {
  const { headers, dynamic } = elf;
  return {
    status: 'ok',
    path,
    class: headers.class,
    byteOrder: headers.byteOrder,
    type: fileTypeName(elf.fileType),
    machine: { number: headers.machine, name: machineName(headers.machine) },
    flags: headers.flags,
    osAbi: elf.osAbi,
    abiVersion: elf.abiVersion,
    entry: hex(elf.entry),
    interpreter: elf.interpreter,
    dynamic:
      dynamic === undefined ? undefined : { ...dynamic, versions: versionsJson(dynamic.versions) },
    buildId: elf.buildId,
    package: elf.package,
    dlopen: elf.dlopens,
    programHeaders: elf.programHeaders.map((header) => ({
      ...printableNumbers(header),
      type: segmentName(header.type),
    })),
    sections: elf.sections.map((section) => ({
      ...printableNumbers(section),
      type: sectionTypeName(section.type),
    })),
    notes: elf.notes.map(({ owner, type, description }) => ({
      owner,
      type,
      description: description.toString('base64'),
    })),
    problems: elf.problems,
  };
}

function versionsJson({ needs, defines, problem }: SymbolVersions): object {
  return { needs, ...(defines === undefined ? {} : { defines: [...defines] }), problem };
}
