import path from 'node:path';
import type { Heard } from '../engine/conversation.js';
import { type OpenFingerprint, openFingerprint, wholeJail } from '../record/fingerprint.js';
import { notesDirectory } from '../record/protection.js';
import type { NewResolution } from '../record/remembered-resolution.js';
import type { StateBlock } from '../record/state-blocks.js';
import { copiedTrees } from '../target.js';
import { stageName } from '../write/new-jail.js';
import { isPrivileged } from '../write/stage.js';
import type { Written } from './write-step.js';

/** A build of a new jail, which gives the same jail in any other place while what it depends on is unchanged. */
export interface RepeatableBuild {
  /** Real path of the directory that contains the sources; '' for `/`. */
  readonly sourceRoot: string;
  /** Name of the jail and of its stage, in the directory that was the writer's base. */
  readonly name: string;
  readonly stage: string;
  /** Real paths of directories that are copied with their content: a jail must not be inside one. */
  readonly trees: readonly string[];
  /** Directory of the notes about roots whose records are not to be trusted. */
  readonly notes: string;
  readonly conversation: Heard;
  /** What the plan and the advice depend on. */
  readonly host: readonly StateBlock[];
  readonly advice: readonly StateBlock[];
  /** What the verification depends on, in the jail: absent paths, and all entries. */
  readonly jail: readonly StateBlock[];
  readonly fingerprint: OpenFingerprint;
}

/**
 * Returns how a build can be repeated.
 *
 * @param root the jail's real path
 * @param remembered what it depends on
 * @returns undefined if it cannot, or if the new jail's parent directory had to be made
 */
export function repeatableBuild(
  { planned: { request, manifest }, record, conversation }: Written,
  root: string,
  { sourceRoot, host, advice, jail }: NewResolution,
): RepeatableBuild | undefined {
  const heard = conversation?.heard();
  if (heard === undefined || record === undefined) return undefined;
  if (heard.base !== path.dirname(root)) return undefined;
  // The path of the sysroot may lead elsewhere later.
  if ((request.sysroot ?? '') !== sourceRoot) return undefined;
  const whole = wholeJail(record, isPrivileged());
  if (whole === undefined) return undefined;
  const entries = [...whole.entries];
  const hostBlocks = [...host];
  const name = path.basename(root);
  return {
    sourceRoot,
    name,
    stage: stageName(name),
    trees: copiedTrees(manifest).map((tree) => sourceRoot + tree),
    notes: notesDirectory(),
    conversation: heard,
    host: hostBlocks,
    advice: [...advice],
    jail: [...jail.absent, ...entries],
    fingerprint: openFingerprint({
      sourceRoot,
      host: hostBlocks,
      jail,
      whole: { ...whole, entries },
    }),
  };
}
