import type { StoredLayer } from '../../export/image.js';
import type { WrittenExport } from '../../export/result.js';
import type { LeftOut } from '../../image/left-out.js';
import { platformName } from '../../image/platform.js';
import { jsonLine } from './json.js';
import { writeErr, writeOut } from './output.js';
import { formatSize, plural, printable } from './text.js';

/** What an export wrote. */
export interface ExportReport {
  /** One per destination. */
  readonly results: readonly [WrittenExport, ...WrittenExport[]];
  readonly sbom?: { readonly format: string; readonly path: string };
  readonly leftOut?: LeftOut;
  readonly warnings: readonly string[];
}

/**
 * Reports an export, as JSON or as text.
 *
 * @param toStdout whether the archive itself goes to standard output
 */
export function reportExport(
  args: { readonly json?: boolean | undefined; readonly quiet?: boolean | undefined },
  report: ExportReport,
  toStdout: boolean,
): void {
  const { results, ...rest } = report;
  if (args.json) {
    const outputs = results.length === 1 ? {} : { outputs: results };
    writeOut(jsonLine({ status: 'ok', ...results[0], ...rest, ...outputs }));
    return;
  }
  if (args.quiet) return;
  const write = toStdout ? writeErr : writeOut;
  const [first, ...others] = results.map(resultLines);
  const leftOut = report.leftOut === undefined ? [] : leftOutLines(report.leftOut);
  const [head = '', ...tail] = first ?? [];
  write([head, ...leftOut, ...tail, ...others.flat(), ''].join('\n'));
}

function resultLines({
  format,
  path,
  digest,
  size,
  entries,
  image,
  index,
  verity,
}: WrittenExport): string[] {
  const named = image ?? index;
  const name = named?.name === undefined ? '' : `:${named.name}`;
  const layerLine = ({ name: of, size: bytes, uncompressedSize, digest: layer }: StoredLayer) =>
    `  ${layer}  ${formatSize(bytes)} of ${formatSize(uncompressedSize)}  ${printable(of)}`;
  const count = plural(entries, 'entry', 'entries');
  const separator = format === 'docker' ? '://' : ':';
  return [
    `Exported ${count}, ${formatSize(size)}, to ${format}${separator}${printable(path)}${name}`,
    ...(image?.layers ?? []).map(layerLine),
    ...(index?.images ?? []).flatMap(({ platform, digest: manifest, layers }) => [
      `  ${manifest}  ${platformName(platform)}`,
      ...layers.map((layer) => `  ${layerLine(layer)}`),
    ]),
    `${image !== undefined ? 'Image' : index !== undefined ? 'Index' : 'Digest'} ${digest}`,
    ...(verity === undefined ? [] : [`Root hash ${verity.rootHash}`]),
  ];
}

/** The number of packages listed, largest first. */
const LISTED_PACKAGES = 10;

function leftOutLines({ size, leftOut, packages }: LeftOut): string[] {
  const lines = packages
    .slice(0, LISTED_PACKAGES)
    .map((item) => `  ${formatSize(item.size)}  ${printable(item.name ?? 'files of no package')}`);
  const more = packages.length - lines.length;
  return [
    `Left out ${formatSize(leftOut)} of ${formatSize(size)}:`,
    ...lines,
    ...(more > 0 ? [`  and ${plural(more, 'more package', 'more packages')}`] : []),
  ];
}
