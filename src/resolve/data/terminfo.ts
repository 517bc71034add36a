import template from '../../../templates/terminfo.json' with { type: 'json' };
import { JailbuildError } from '../../errors.js';
import { isTrace, type Sysroot } from '../../fs/sysroot.js';
import type { TerminfoChoice } from '../../manifest/request.js';
import type { FileCollection } from '../file-collection.js';

/**
 * Adds terminal descriptions from where the distribution keeps them. An entry is in a subdirectory
 * named after its first letter or the hexadecimal code of that letter (term(5)). If several
 * directories have it, the first in the library's search order wins (terminfo(5)).
 *
 * @param terminals the terminals in use, in addition to the usual ones
 * @returns warnings
 * @throws JailbuildError TERMINFO_NOT_FOUND for a name that the user specified
 */
export function addTerminfo(
  sysroot: Sysroot,
  files: FileCollection,
  choice: TerminfoChoice,
  terminals: readonly string[],
): string[] {
  if (choice === 'none') return [];
  if (choice === 'all') {
    for (const path of template.directories) {
      const directory = sysroot.trace(path);
      if (isTrace(directory) && directory.stat.type === 'directory') {
        files.addTree(directory, (name) => ({ kind: 'terminfo', name }));
      }
    }
    return [];
  }
  const named = choice === 'default' ? [] : choice.filter((name) => name !== 'default');
  const usual =
    choice === 'default' || choice.includes('default') ? [...terminals, ...template.entries] : [];
  const warnings: string[] = [];
  for (const name of new Set([...usual, ...named])) {
    const found = isEntryName(name) ? findEntry(sysroot, name) : undefined;
    if (found !== undefined) {
      files.add(found, { kind: 'terminfo', name });
    } else if (named.includes(name)) {
      throw new JailbuildError(
        'TERMINFO_NOT_FOUND',
        `${name}: no such terminal description in ${template.directories.join(', ')}`,
        name,
      );
    } else if (terminals.includes(name)) {
      warnings.push(`no terminal description for TERM=${name} on this host`);
    }
  }
  return warnings;
}

function isEntryName(name: string): boolean {
  return name !== '' && !name.includes('/') && name !== '.' && name !== '..';
}

function findEntry(sysroot: Sysroot, name: string) {
  const letters = [name.charAt(0), name.charCodeAt(0).toString(16)];
  for (const directory of template.directories) {
    for (const letter of letters) {
      const trace = sysroot.trace(`${directory}/${letter}/${name}`);
      if (isTrace(trace) && trace.stat.type === 'file') return trace;
    }
  }
  return undefined;
}
