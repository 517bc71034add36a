import { buildCommand } from './build.js';
import { checkCommand } from './check.js';
import type { AnyCommand } from './command.js';
import { completionCommand } from './completion.js';
import { exportCommand } from './export.js';
import { initCommand } from './init.js';
import { profilesCommand } from './profiles.js';
import { removeCommand } from './remove.js';
import { runCommand } from './run.js';
import { updateCommand } from './update.js';

/** Every command, in the order of the help. The first is the one that needs no name. */
export const COMMANDS: readonly AnyCommand[] = [
  buildCommand,
  runCommand,
  checkCommand,
  updateCommand,
  removeCommand,
  exportCommand,
  profilesCommand,
  initCommand,
  completionCommand,
];
