import path from 'node:path';
import { JailbuildError } from '../errors.js';
import { absoluteRoot } from '../image/reference.js';
import { type AccountRequest, parseAccount } from '../manifest/account-request.js';
import type { IncludeRequest } from '../manifest/include-request.js';
import type { ProofSpec } from '../manifest/proof-spec.js';
import { placeInYaml, readCheckedYaml } from './checked-yaml.js';
import { unknownProfile } from './load.js';
import { publishedSchema } from './templates.js';

/** The options of `build` that are paths. */
const PATH_OPTIONS: ReadonlySet<string> = new Set(['manifest', 'sbom-file']);
/** The options of `build` that are lists of paths, separated by colons. */
const PATH_LIST_OPTIONS: ReadonlySet<string> = new Set(['library-path']);

export type OptionValue = string | boolean | readonly string[];

/** Options by their long names, as on the command line. */
export type OptionValues = Readonly<Record<string, OptionValue>>;

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
    users: (users ?? []).map((user) => (typeof user === 'string' ? account(file, user) : user)),
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
  };
}

function proofSpec(file: string, name: string, { command, ...proof }: RawProof): ProofSpec {
  try {
    new RegExp(proof.output ?? '', 'm');
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error);
    throw new JailbuildError('JAIL_FILE_INVALID', `${file}: proof ${name}: ${problem}`, file);
  }
  return { ...proof, name, command: words(command) };
}

/** @throws JailbuildError JAIL_FILE_INVALID with file, line and column */
function refuseUnknownProfiles(profiles: readonly string[], file: string): void {
  for (const [index, name] of profiles.entries()) {
    if (name.includes('/')) continue;
    const why = unknownProfile(name);
    if (why === undefined) continue;
    const at = placeInYaml(file, ['profiles', String(index)]);
    throw new JailbuildError('JAIL_FILE_INVALID', `${at}: ${why}`, file);
  }
}

function account(file: string, text: string): AccountRequest {
  try {
    return parseAccount(text);
  } catch (error) {
    if (!(error instanceof JailbuildError)) throw error;
    throw new JailbuildError('JAIL_FILE_INVALID', `${file}: ${error.message}`, file);
  }
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

function withPaths(values: OptionValues, from: (name: string) => string): OptionValues {
  const paths = Object.entries(values).flatMap(([name, value]) => {
    if (typeof value !== 'string') return [];
    if (PATH_OPTIONS.has(name)) return [[name, from(value)] as const];
    if (name === 'sysroot') return [[name, absoluteRoot(value, from('.'))] as const];
    if (!PATH_LIST_OPTIONS.has(name)) return [];
    return [[name, value.split(/[:;]/).map(from).join(':')] as const];
  });
  return { ...values, ...Object.fromEntries(paths) };
}

/**
 * Makes paths of run options absolute: a mount is SOURCE[:...]; a filter may be one of two words.
 */
function withRunPaths(values: OptionValues, from: (name: string) => string): OptionValues {
  const source = (mount: string): string => {
    const [place = '', ...rest] = mount.split(':');
    return [from(place), ...rest].join(':');
  };
  const isFile = (filter: OptionValue): filter is string =>
    typeof filter === 'string' && filter !== 'default' && filter !== 'off';
  return Object.fromEntries(
    Object.entries(values).map(([name, value]): [string, OptionValue] => {
      if (name === 'bind' || name === 'dev-bind') return [name, list(value).map(source)];
      return [name, name === 'seccomp' && isFile(value) ? from(value) : value];
    }),
  );
}

function list(value: OptionValue): readonly string[] {
  return typeof value === 'object' ? value : [String(value)];
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
