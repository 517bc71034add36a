import { rmSync } from 'node:fs';
import path from 'node:path';
import { JailbuildError } from '../errors.js';
import { ownTemporaryDirectory } from '../fs/own-environment.js';
import { toBytes } from '../fs/path-bytes.js';
import { Sysroot } from '../fs/sysroot.js';
import { makeDirectoryIn } from '../fs/temporary-directory.js';
import type { RegistryAccess } from '../image/registry/access.js';
import { runBuild } from '../jail/build/pipeline.js';
import { locateTarget } from '../jail/target.js';
import type { LaunchOptions } from '../launcher/options.js';
import type { ProofSpec } from '../manifest/proof-spec.js';
import type { ResolveRequest } from '../manifest/request.js';
import { openSysroot } from '../plan/open-sysroot.js';
import { findRemedies, type Remedy } from './cures.js';
import { runnableCommand } from './emulator.js';
import { endText } from './outcome.js';
import {
  type AddOptions,
  type Expectation,
  type ProofRound,
  type ProofRun,
  type ProveOptions,
  proveJail,
  proveOnce,
} from './prove.js';

/** The result of a proof. */
export interface ProofResult extends ProofRun {
  readonly name: string;
  /** Cures for what a failed proof lacked. */
  readonly remedies: readonly Remedy[];
}

/** The proofs to run, and how. */
export interface ProofOptions {
  readonly proofs: readonly ProofSpec[];
  /** Returns the launch options for a jail at this path. */
  readonly launchIn: (root: string) => LaunchOptions;
  /** Called after each proof. */
  readonly onProof?: (result: ProofResult) => void;
  /** Returns a command as it is run in a jail at this path. The default is as it is. */
  readonly commandIn?: typeof runnableCommand;
}

/** Default time limit of a proof, in seconds. */
const USUAL_TIMEOUT = 60;

/**
 * Runs all proofs in a jail.
 *
 * @param root absolute path of the jail
 * @param sysroot the root that its files come from
 */
export async function runProofs(
  root: string,
  sysroot: string | undefined,
  { proofs, launchIn, onProof, commandIn = (_, __, command) => command }: ProofOptions,
): Promise<readonly ProofResult[]> {
  const results: ProofResult[] = [];
  for (const proof of proofs) {
    const { name, command } = proof;
    const launch = launchIn(root);
    const options = { launch, expect: expectationOf(proof) };
    const run = await proveOnce(root, sysroot, commandIn(root, launch, command), options);
    const remedies = run.passes ? [] : await findRemedies(run.lacks, new Sysroot(sysroot), []);
    const result = { ...run, name, remedies };
    results.push(result);
    onProof?.(result);
  }
  return results;
}

function expectationOf({
  stdin = '',
  timeout = USUAL_TIMEOUT,
  status,
  output,
}: ProofSpec): Expectation {
  return {
    stdin,
    timeout,
    ...(status === undefined ? {} : { status }),
    ...(output === undefined ? {} : { output }),
  };
}

/** The rounds of one proof. */
export interface ProvenProof {
  readonly name: string;
  readonly command: readonly string[];
  readonly rounds: readonly ProofRound[];
}

/**
 * Runs all proofs in a jail, each as `proveJail` runs a command.
 *
 * @param root absolute path of the jail
 * @param onRound called after each run, before anything is added
 * @throws as `proveJail`
 */
export async function proveProofs(
  root: string,
  { proofs, launchIn }: ProofOptions,
  options: Omit<ProveOptions, 'launch' | 'expect'> & AddOptions,
  onRound: (name: string, round: ProofRound, number: number) => void,
): Promise<readonly ProvenProof[]> {
  const proven: ProvenProof[] = [];
  for (const proof of proofs) {
    const { name, command } = proof;
    const launch = launchIn(root);
    const rounds = await proveJail(
      root,
      command,
      { ...options, launch, expect: expectationOf(proof) },
      (round, number) => onRound(name, round, number),
    );
    proven.push({ name, command, rounds });
  }
  return proven;
}

/**
 * Runs the proofs of a request in a temporary jail built for it.
 *
 * @param beside the path near which to build it; by default, the directory for temporary files
 * @throws JailbuildError PROOF_FAILED, and as `build`
 */
export async function proveRequest(
  asked: ResolveRequest,
  options: ProofOptions & {
    readonly allowMissing?: boolean;
    readonly beside?: string;
    readonly registry?: RegistryAccess;
  },
): Promise<void> {
  const request = await openSysroot(asked, options.registry);
  const near = options.beside === undefined ? ownTemporaryDirectory() : nearest(options.beside);
  const directory = makeDirectoryIn(near, '.jailbuild-proof-');
  try {
    const root = path.join(directory, 'jail');
    const { allowMissing = false } = options;
    const build = { allowMissing, noSync: true, insecureParents: true };
    await runBuild({ origin: { kind: 'request', request }, target: root, options: build });
    refuseFailed(
      await runProofs(root, request.sysroot, { ...options, commandIn: runnableCommand }),
    );
  } finally {
    rmSync(toBytes(directory), { recursive: true, force: true });
  }
}

/** Returns the directory of an existing or future jail, or its nearest existing ancestor. */
function nearest(target: string): string {
  const { existing, path: whole } = locateTarget(target);
  return existing === whole ? path.dirname(whole) : existing;
}

/** @throws JailbuildError PROOF_FAILED if a proof failed */
export function refuseFailed(results: readonly ProofResult[]): void {
  const failed = results.filter(({ passes }) => !passes);
  const [first] = failed;
  if (first === undefined) return;
  const others = failed.length > 1 ? ` (and ${failed.length - 1} more)` : '';
  throw new JailbuildError(
    'PROOF_FAILED',
    `proof ${first.name}${others} ${endText(first)}: nothing was written`,
  );
}
