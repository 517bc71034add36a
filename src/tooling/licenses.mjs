import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';

const INPUT = /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//;

/**
 * Writes the licenses of the packages whose code is in bundles, which must accompany their code.
 *
 * @param {string} file
 * @param {readonly import('esbuild').Metafile[]} metafiles of the bundles
 * @param {readonly string[]} copied directories of packages from which files are copied
 */
export function writeLicenses(file, metafiles, copied) {
  const inputs = metafiles.flatMap(({ inputs }) => Object.keys(inputs));
  const directories = inputs.flatMap((input) => {
    const [, directory] = INPUT.exec(path.resolve(input.replace(/^[\w-]+:/, ''))) ?? [];
    return directory === undefined ? [] : [directory];
  });
  const all = [...directories, ...copied.map((directory) => path.resolve(directory))];
  const texts = [...new Set(all)].sort().map(licenseOf);
  writeFileSync(file, `jailbuild contains code of these packages.\n\n${texts.join('\n')}`);
}

/** @param {string} directory */
function licenseOf(directory) {
  const { name, version, license } = JSON.parse(
    readFileSync(path.join(directory, 'package.json'), 'utf8'),
  );
  const texts = readdirSync(directory)
    .filter((file) => /^(licen[cs]e|copying|notice)/i.test(file))
    .map((file) => readFileSync(path.join(directory, file), 'utf8').trim());
  return `${[`# ${name} ${version} (${license})`, ...texts].join('\n\n')}\n`;
}
