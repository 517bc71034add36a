import { readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { JailbuildError } from '../errors.js';
import { didYouMean } from '../text/suggest.js';
import { readCheckedYaml } from './checked-yaml.js';
import type { Profile, ProfileContent } from './profile.js';
import { publishedSchema, templatePath } from './templates.js';

const SUFFIX = '.yaml';

/** Returns every built-in profile, in the order of their names. */
export function knownProfiles(): Profile[] {
  return profileNames().map((name) => readProfile(builtInPath(name)));
}

/**
 * Loads profiles with everything that they include, each once, before those that include it.
 *
 * @param names names of built-in profiles, or paths of files: a path contains a slash
 * @throws JailbuildError PROFILE_NOT_FOUND, PROFILE_INVALID, NOT_READABLE
 */
export function loadProfiles(names: readonly string[]): Profile[] {
  const loaded = new Map<string, Profile>();
  const onTheWay: string[] = [];
  const load = (name: string, from: string): void => {
    const file = name.includes('/') ? path.resolve(from, name) : builtInPath(name);
    if (loaded.has(file)) return;
    if (onTheWay.includes(file)) {
      const circle = [...onTheWay.slice(onTheWay.indexOf(file)), file].map(nameOf).join(' -> ');
      throw new JailbuildError('PROFILE_INVALID', `${file}: includes itself: ${circle}`, file);
    }
    onTheWay.push(file);
    const profile = readProfile(file);
    for (const included of profile.include ?? []) load(included, path.dirname(file));
    onTheWay.pop();
    loaded.set(file, profile);
  };
  for (const name of names) load(name, process.cwd());
  return [...loaded.values()];
}

function readProfile(file: string): Profile {
  if (statSync(file, { throwIfNoEntry: false }) === undefined) {
    throw new JailbuildError('PROFILE_NOT_FOUND', `${file}: no such file`, file);
  }
  const content = readCheckedYaml(file, publishedSchema('profile'), 'PROFILE_INVALID');
  return { name: nameOf(file), path: file, ...(content as ProfileContent) };
}

function builtInPath(name: string): string {
  const unknown = unknownProfile(name);
  if (unknown === undefined) return templatePath(`profiles/${name}${SUFFIX}`);
  throw new JailbuildError('PROFILE_NOT_FOUND', unknown, name);
}

/** Returns the problem of a name that no built-in profile has; undefined if one has it. */
export function unknownProfile(name: string): string | undefined {
  const names = profileNames();
  if (names.includes(name)) return undefined;
  const help = didYouMean(name, names) || '; `jailbuild profiles` lists them';
  return `${name}: no such profile${help}`;
}

/** Returns the names of the built-in profiles, sorted. */
export function profileNames(): string[] {
  return readdirSync(templatePath('profiles'))
    .filter((file) => file.endsWith(SUFFIX))
    .map(nameOf)
    .sort();
}

function nameOf(file: string): string {
  return path.basename(file, path.extname(file));
}
