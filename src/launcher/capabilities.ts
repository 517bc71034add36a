import { JailbuildError } from '../errors.js';
import { CAPABILITIES } from '../manifest/file-capabilities.js';
import { type CapabilityChoice, DEFAULT_CAPABILITIES } from './options.js';

export { CAPABILITIES };

/**
 * Returns the default capabilities with additions and removals. `ALL` among those to drop empties the set before
 * anything is added; among those to add, it fills the set before anything is dropped. Capabilities added by name also
 * apply to users other than root.
 *
 * @param add names with or without `CAP_`, in any case
 * @throws JailbuildError USAGE
 */
export function chooseCapabilities(
  add: readonly string[],
  drop: readonly string[],
): CapabilityChoice {
  const [added, dropped] = [parse('--cap-add', add), parse('--cap-drop', drop)];
  let base = DEFAULT_CAPABILITIES;
  if (added.has('all')) base = CAPABILITIES;
  if (dropped.has('all')) base = [];
  const wanted = new Set([...base, ...added]);
  const bounding = CAPABILITIES.filter((name) => wanted.has(name) && !dropped.has(name));
  return { bounding, ambient: bounding.filter((name) => added.has(name)) };
}

function parse(option: string, names: readonly string[]): Set<string> {
  return new Set(
    names
      .flatMap((text) => text.split(','))
      .map((text) => {
        const name = text.toLowerCase().replace(/^cap_/, '');
        if (name === 'all' || CAPABILITIES.includes(name)) return name;
        throw new JailbuildError('USAGE', `${option} ${text}: no such capability`);
      }),
  );
}
