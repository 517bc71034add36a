import { pathBuffer } from '../fs/path-bytes.js';
import type { RepeatableBuild } from '../jail/build/repeatable.js';
import { asFields, storedFile } from './front-fields.js';

/** Names the format and its version; native/front/new_jail.c reads it. */
const SCHEMA = 'jailbuild.build/2';
const MAX_SIZE = 1 << 24;
/** As in native/front/replay.c. */
const MOST_REPLIES = 1024;

/** What a build of a new jail has printed. */
export interface BuildOutput {
  readonly out: string;
  readonly err: string;
  /** The jail's absolute path. */
  readonly target: string;
  /** Whether the output is JSON, which names the jail. */
  readonly isJson: boolean;
  /** The words of the command that follows, see `NextCommand`. */
  readonly next: readonly string[];
}

/**
 * Returns a build in the form in which the native front can repeat it for another jail.
 *
 * @returns undefined if its output has the name of the jail in an unknown place, or if it is too large
 */
export function storedBuild(build: RepeatableBuild, output: BuildOutput): Buffer | undefined {
  const printed = splitOutput(output);
  const { requests, replies } = build.conversation;
  if (printed === undefined || replies.length > MOST_REPLIES) return undefined;
  const { blocks, head, rest } = build.fingerprint;
  const contents: readonly (readonly Buffer[])[] = [
    [...blocks, head],
    [rest],
    build.advice,
    requests,
    replies,
    ...printed.map((text) => [pathBuffer(text)]),
  ];
  const [fingerprint, behind, , ...others] = contents.map((parts) =>
    parts.reduce((sum, { length }) => sum + length, 0),
  );
  const fields = [
    ...[build.sourceRoot, build.name, build.stage, build.notes],
    output.isJson ? 'json' : 'text',
    ...[output.next.length, ...output.next],
    ...[build.trees.length, ...build.trees],
    ...[build.host, build.jail, build.advice].flatMap((group) => [
      group.length,
      ...group.map(({ length }) => length),
    ]),
    ...[fingerprint ?? 0, head.length, behind ?? 0, ...others],
  ];
  const body = Buffer.concat([pathBuffer(asFields(fields)), ...contents.flat()]);
  const bytes = storedFile(SCHEMA, body);
  return bytes.length <= MAX_SIZE ? bytes : undefined;
}

/** Returns the text before and behind the name of the jail in standard output, and that of standard error. */
function splitOutput({
  out,
  err,
  target,
  isJson,
}: BuildOutput): readonly [string, string, string] | undefined {
  const [before = '', behind = '', ...others] = out.split(target);
  const isNamed = out.includes(target);
  if (err.includes(target) || others.length > 0 || isNamed !== isJson) return undefined;
  return [before, behind, err];
}
