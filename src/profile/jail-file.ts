import path from 'node:path';
import { JailbuildError } from '../errors.js';
import { type AccountRequest, parseAccount } from '../manifest/account-request.js';
import type { IncludeRequest } from '../manifest/include-request.js';
import type { ProofSpec } from '../manifest/proof-spec.js';
import { placeInYaml, readCheckedYaml } from './checked-yaml.js';
import { unknownProfile } from './load.js';
import type { OptionValues } from './option-values.js';
import { withPaths, withRunPaths } from './relative-paths.js';
import { publishedSchema } from './templates.js';

/** Options and configuration of an image of the jail (OCI image spec, config.md). */
export interface ImageOptions {
  /** The destination of the image, as for `export --to`. */
  readonly to?: string;
  readonly entrypoint?: readonly string[];
  readonly cmd?: readonly string[];
  /** NAME=VALUE, in addition to the variables set by profiles. */
  readonly env?: readonly string[];
  /** User and optional group, by name or number: `USER[:GROUP]`. */
  readonly user?: string;
  readonly workdir?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  /** How files are distributed over layers. */
  readonly layers?: 'single' | 'by-package' | 'by-library';
  /** `OS/ARCHITECTURE[/VARIANT]`. */
  readonly platform?: string;
  /** `PORT[/PROTOCOL]` on which a server listens. */
  readonly expose?: readonly string[];
  /** Directories for data that outlives a container. */
  readonly volumes?: readonly string[];
  readonly 'stop-signal'?: string;
  readonly author?: string;
  /** The software bill of materials to add to the image. */
  readonly sbom?: 'cyclonedx' | 'spdx';
}

/** A jail file as data. Paths in it are relative to its own directory. */
export interface JailFile {
  /** The name of the file in messages. */
  readonly name: string;
  /** Absolute path of the file. */
  readonly path: string;
  /** Absolute path of its directory. */
  readonly directory: string;
  /** The jail's directory, absolute. */
  readonly root?: string;
  readonly programs: readonly string[];
  /** Names, and absolute paths of custom profiles. */
  readonly profiles: readonly string[];
  readonly users: readonly AccountRequest[];
  /** Files to include in addition to what the programs need. */
  readonly includes: readonly IncludeRequest[];
  /** Patterns of files to leave out. */
  readonly excludes: readonly string[];
  /** Absolute paths of traces of runs. */
  readonly traces: readonly string[];
  /** Commands that must succeed in the jail. */
  readonly proofs: readonly ProofSpec[];
  /** The other options of `build`. */
  readonly options: OptionValues;
  readonly run: {
    readonly command: readonly string[];
    /** The options of `run`. */
    readonly options: OptionValues;
  };
  readonly image: ImageOptions;
  /**
   * Returns the position of a value as `FILE:LINE:COLUMN`.
   *
   * @param where the keys and indices that lead to it
   */
  placeOf(where: readonly string[]): string;
}

type Scalar = string | number | boolean;
type RawValue = Scalar | readonly Scalar[] | Readonly<Record<string, Scalar>>;

type RawProof = Omit<ProofSpec, 'name' | 'command' | 'output'> & {
  readonly command: RawValue;
  readonly output?: string;
};

/** The file as described by its schema. */
interface RawJailFile extends Readonly<Record<string, unknown>> {
  readonly root?: string;
  readonly programs?: readonly string[];
  readonly profiles?: readonly string[];
  readonly users?: readonly (string | AccountRequest)[];
  readonly includes?: readonly (string | IncludeRequest)[];
  readonly excludes?: readonly string[];
  readonly traces?: readonly string[];
  readonly proofs?: Readonly<Record<string, RawProof>>;
  readonly run?: Readonly<Record<string, RawValue>>;
  readonly image?: Readonly<Record<string, RawValue>>;
}

/**
 * Reads a jail file. docs/jail-file.md describes it; templates/schema/jail.schema.json defines what
 * it may contain.
 *
 * @throws JailbuildError JAIL_FILE_INVALID with file, line and column; NOT_READABLE
 */
export function readJailFile(file: string): JailFile {
  const raw = readCheckedYaml(file, publishedSchema('jail'), 'JAIL_FILE_INVALID') as RawJailFile;
  refuseUnknownProfiles(raw.profiles ?? [], file);
  refuseNames(raw.run?.env, file, ['run', 'env']);
  refuseNames(raw.image?.env, file, ['image', 'env']);
  const absolute = path.resolve(file);
  const directory = path.dirname(absolute);
  const from = (name: string): string => path.resolve(directory, name);
  const {
    root,
    programs,
    profiles,
    users,
    includes,
    excludes,
    traces,
    run,
    image,
    proofs,
    ...options
  } = raw;
  const { command, ...runOptions } = run ?? {};
  return {
    name: file,
    path: absolute,
    directory,
    ...(root === undefined ? {} : { root: from(root) }),
    programs: (programs ?? []).map((name) => (name.includes('/') ? from(name) : name)),
    profiles: (profiles ?? []).map((name) => (name.includes('/') ? from(name) : name)),
    users: (users ?? []).map((user, index) =>
      typeof user === 'string' ? account(file, user, index) : user,
    ),
    includes: (includes ?? []).map((include) =>
      typeof include === 'string'
        ? { from: from(include) }
        : { ...include, from: from(include.from) },
    ),
    excludes: excludes ?? [],
    traces: (traces ?? []).map(from),
    proofs: Object.entries(proofs ?? {}).map(([name, proof]) => proofSpec(file, name, proof)),
    options: withPaths(optionValues(options as Readonly<Record<string, RawValue>>), from),
    run: { command: words(command), options: withRunPaths(optionValues(runOptions), from) },
    image: imageOptions(image ?? {}),
    placeOf: (where) => placeInYaml(file, where),
  };
}

function proofSpec(file: string, name: string, { command, ...proof }: RawProof): ProofSpec {
  try {
    new RegExp(proof.output ?? '', 'm');
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error);
    throw invalid(file, ['proofs', name, 'output'], problem);
  }
  return { ...proof, name, command: words(command) };
}

/** @throws JailbuildError JAIL_FILE_INVALID with file, line and column */
function refuseUnknownProfiles(profiles: readonly string[], file: string): void {
  for (const [index, name] of profiles.entries()) {
    if (name.includes('/')) continue;
    const why = unknownProfile(name);
    if (why === undefined) continue;
    throw invalid(file, ['profiles', String(index)], why);
  }
}

/** @throws JailbuildError JAIL_FILE_INVALID for a name of a variable that would become another name and value */
function refuseNames(env: RawValue | undefined, file: string, where: readonly string[]): void {
  if (typeof env !== 'object' || Array.isArray(env)) return;
  const name = Object.keys(env).find((key) => key === '' || key.includes('='));
  if (name === undefined) return;
  const what = name === '' ? 'has a variable without a name' : `${name}: a name has no =`;
  throw invalid(file, [...where, name], `${where.join('.')} ${what}`);
}

function account(file: string, text: string, index: number): AccountRequest {
  try {
    return parseAccount(text);
  } catch (error) {
    if (!(error instanceof JailbuildError)) throw error;
    throw invalid(file, ['users', String(index)], error.message);
  }
}

/** @param where the keys and indices that lead to the value */
function invalid(file: string, where: readonly string[], problem: string): JailbuildError {
  const at = placeInYaml(file, where);
  return new JailbuildError('JAIL_FILE_INVALID', `${at}: ${problem}`, file);
}

/** Converts values to the form of the command line: numbers as text, maps as NAME=VALUE. */
function optionValues(raw: Readonly<Record<string, RawValue>>): OptionValues {
  return Object.fromEntries(
    Object.entries(raw).map(([name, value]) => [
      name,
      typeof value === 'boolean' ? value : typeof value === 'object' ? words(value) : String(value),
    ]),
  );
}

function imageOptions(raw: Readonly<Record<string, RawValue>>): ImageOptions {
  const text = (value: Scalar): string => String(value);
  return Object.fromEntries(
    Object.entries(raw).map(([key, value]) => {
      switch (key) {
        case 'labels':
        case 'annotations':
          return [
            key,
            Object.fromEntries(
              Object.entries(value as Readonly<Record<string, Scalar>>).map(([name, member]) => [
                name,
                text(member),
              ]),
            ),
          ];
        case 'entrypoint':
        case 'cmd':
        case 'env':
        case 'expose':
        case 'volumes':
          return [key, words(value)];
        default:
          return [key, text(value as Scalar)];
      }
    }),
  );
}

/** Converts a list, a single word, or a map (as NAME=VALUE) to words. */
function words(value: RawValue | undefined): string[] {
  if (value === undefined) return [];
  if (typeof value !== 'object') return [String(value)];
  if (Array.isArray(value)) return value.map(String);
  return Object.entries(value).map(([name, member]) => `${name}=${String(member)}`);
}
