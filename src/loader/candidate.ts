import type { ElfHeaders } from '../elf/types.js';
import { JailbuildError } from '../errors.js';
import { isTrace } from '../fs/sysroot.js';
import { acceptForGlibc, acceptForMusl } from './acceptance.js';
import type { LoaderFlavor } from './flavor.js';
import type { ObjectTable } from './objects.js';
import type { Candidate } from './search-result.js';

/**
 * Returns the file at a path if the loader would accept it.
 *
 * @param abi the headers of the program: objects of another ABI are skipped
 * @throws JailbuildError NOT_ELF, MALFORMED_ELF, NOT_A_REGULAR_FILE for a file at which the loader
 *   would fail
 */
export function candidateAt(
  name: string,
  objects: ObjectTable,
  flavor: LoaderFlavor,
  abi: ElfHeaders,
): Candidate | undefined {
  const trace = objects.sysroot.trace(name);
  if (!isTrace(trace)) return undefined;
  if (trace.stat.type !== 'file') {
    const what = trace.stat.type.replace('-', ' ');
    throw new JailbuildError(
      'NOT_A_REGULAR_FILE',
      `${name}: is a ${what} where the loader looks for a library`,
      name,
    );
  }
  const accept = flavor.kind === 'musl' ? acceptForMusl : acceptForGlibc;
  const elf = accept(name, objects.look(trace), abi);
  return elf === undefined ? undefined : { name, trace, elf };
}
