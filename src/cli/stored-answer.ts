import path from 'node:path';
import { storeCacheFile } from '../fs/cache-directory.js';
import { ownHome, ownVariable } from '../fs/own-environment.js';
import { pathBuffer } from '../fs/path-bytes.js';
import type { RepeatableBuild } from '../jail/build/repeatable.js';
import type { UnchangedJail } from '../jail/build/verify-step.js';
import type { StateBlock } from '../jail/record/state-blocks.js';
import { answerKey, buildKey } from './front.js';
import { asFields, storedFile } from './front-fields.js';
import { collectedOutput, collectOutput, dropOutput } from './output/output.js';
import { storedBuild } from './stored-build.js';

/** Names the format and its version; native/front/answer.c reads it. */
const SCHEMA = 'jailbuild.answer/2';
/** Maximum number of answers; at this number, the older half is removed. */
const MOST = 64;
const MAX_SIZE = 1 << 25;

/** What an answer depends on, in addition to what its key identifies. */
export type AnswerBasis =
  /** Files below a root. */
  | {
      readonly kind: 'host';
      /** Real path of the root; '' for `/`. */
      readonly sourceRoot: string;
      readonly blocks: readonly StateBlock[];
    }
  /** A jail and the files it was built from. */
  | ({
      readonly kind: 'jail';
      readonly target: string;
      readonly next?: NextCommand;
    } & UnchangedJail)
  /** A new jail and the files it is built from. */
  | {
      readonly kind: 'new-jail';
      readonly target: string;
      readonly isJson: boolean;
      readonly next?: NextCommand;
      readonly build: RepeatableBuild;
    };

/**
 * The words of a command that follows once the output is printed, of which the first names it and the jail is to be put
 * behind that; none if the output is all. Its own output is not stored.
 */
export type NextCommand = readonly string[];

let basis: AnswerBasis | undefined;

/** Begins to keep the output of this command, if the native front could use it. */
export function beginAnswer(): void {
  basis = undefined;
  if (answerKey() !== undefined) collectOutput();
}

/** Returns whether an answer may be stored, so that its basis is worth determining. */
export function mayStoreAnswer(): boolean {
  return collectedOutput() !== undefined;
}

/** Says that this command changes nothing, and on what its output depends. */
export function dependsOn(given: AnswerBasis): void {
  if (mayStoreAnswer()) basis = given;
}

/** Says that the output of this command also depends on something else. */
export function refuseAnswer(): void {
  dropOutput();
}

/** Stores the output so far of a command that goes on to do what its words make another command do. */
export function storeFirstAnswer(): void {
  storeAnswer();
  refuseAnswer();
}

/** Stores the output of a command that ended with status 0. Ignores system errors, since an answer only saves time. */
export function storeAnswer(): void {
  const [key, output] = [answerKey(), collectedOutput()];
  if (key === undefined || output === undefined || basis === undefined) return;
  if (basis.kind === 'new-jail') {
    storeBuild(basis, output);
    return;
  }
  const blocks = basis.kind === 'host' ? basis.blocks : [];
  const [out, err] = [pathBuffer(output.out), pathBuffer(output.err)];
  const body = Buffer.concat([
    pathBuffer(asFields([...fieldsOf(basis), out.length, err.length])),
    ...[out, err, ...blocks],
  ]);
  const bytes = storedFile(SCHEMA, body);
  if (bytes.length <= MAX_SIZE) storeCacheFile(path.join(directory('answers'), key), bytes, MOST);
}

function storeBuild(
  { target, isJson, next = [], build }: Extract<AnswerBasis, { kind: 'new-jail' }>,
  output: { readonly out: string; readonly err: string },
): void {
  const key = buildKey()?.key;
  const bytes =
    key === undefined ? undefined : storedBuild(build, { ...output, target, isJson, next });
  if (key !== undefined && bytes !== undefined)
    storeCacheFile(path.join(directory('builds'), key), bytes, MOST);
}

function fieldsOf(of: Exclude<AnswerBasis, { kind: 'new-jail' }>): readonly (string | number)[] {
  if (of.kind === 'host') {
    const sizes = of.blocks.flatMap(({ length }) => ['host', length]);
    return [of.sourceRoot, '', '', '', '', '', 0, of.blocks.length, ...sizes];
  }
  const { sourceRoot, root, target, next = [], recordStamp, stateStamp, note, blocks } = of;
  const sizes = blocks.flatMap(({ isOfJail, length }) => [isOfJail ? 'jail' : 'host', length]);
  const names = [sourceRoot, root, path.resolve(target), recordStamp, stateStamp, note];
  return [...names, next.length, ...next, blocks.length, ...sizes];
}

/** As native/front/answer.c, which does not read passwd(5). */
function directory(name: string): string {
  const given = ownVariable('XDG_CACHE_HOME');
  if (given?.startsWith('/')) return path.join(given, 'jailbuild', name);
  const cache = process.geteuid?.() === 0 ? '/var/cache' : path.join(ownHome(), '.cache');
  return path.join(cache, 'jailbuild', name);
}
