import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { PROJECT } from './cli.js';

/** The content of the file that must not be read. Others have the same length and time. */
export const SECRET = 'secret of the host\n';
export const HARMLESS = 'file of the tree..\n';
/** A name that only exists behind the link. */
export const HIDDEN_NAME = 'name-on-the-host';

const FILES = 40;
const TIME = 1_600_000_000;

/**
 * A tree in which a process keeps swapping a directory for a link to a directory outside, with the
 * same names, sizes and times.
 */
export class SwapRace {
  /** The tree. */
  readonly root: string;
  /** The swapped directory, inside the tree. */
  readonly inside = '/open/tree';
  readonly #directory: string;
  #attacker: ChildProcess | undefined;

  /**
   * @param mode mode of the parent: writable by anyone, or only by its owner, such as root in a
   * jail
   */
  constructor(directory: string, mode = 0o777) {
    this.#directory = directory;
    this.root = path.join(directory, 'root');
    fill(path.join(this.root, this.inside), HARMLESS);
    fill(path.join(directory, 'host'), SECRET, 0o600);
    writeFileSync(path.join(directory, 'host/deeper', HIDDEN_NAME), '');
    const open = path.join(this.root, 'open');
    chmodSync(open, mode);
    symlinkSync(path.join(directory, 'host'), path.join(open, 'link'));
  }

  async begin(): Promise<void> {
    const program = path.join(this.#directory, 'swap');
    execFileSync('cc', ['-O2', '-o', program, path.join(PROJECT, 'fixtures/attack/swap.c')]);
    const child = spawn(program, [path.join(this.root, 'open'), 'tree', 'link'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    this.#attacker = child;
    await once(child.stdout, 'data');
  }

  async end(): Promise<void> {
    if (this.#attacker === undefined) return;
    const ended = once(this.#attacker, 'exit');
    this.#attacker.kill();
    await ended;
  }
}

function fill(directory: string, content: string, mode = 0o644): void {
  const below = path.join(directory, 'deeper');
  mkdirSync(below, { recursive: true });
  for (let index = 0; index < FILES; index++) {
    for (const file of [path.join(directory, `f${index}`), path.join(below, `f${index}`)]) {
      writeFileSync(file, content, { mode });
      utimesSync(file, TIME, TIME);
    }
  }
  for (const made of [below, directory]) utimesSync(made, TIME, TIME);
}
