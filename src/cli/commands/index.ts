import type { AnyCommand, CommandGroup } from '../command.js';
import { buildCommand } from './build.js';
import { checkCommand } from './check.js';
import { completionCommand } from './completion.js';
import { diffCommand } from './diff.js';
import { execCommand } from './exec.js';
import { exportCommand } from './export.js';
import { initCommand } from './init.js';
import { inspectCommand } from './inspect.js';
import { ociRuntimeCommand } from './oci-runtime.js';
import { optimizeCommand } from './optimize.js';
import { profilesCommand } from './profiles.js';
import { proveCommand } from './prove.js';
import { psCommand } from './ps.js';
import { removeCommand } from './remove.js';
import { reportCommand } from './report.js';
import { runCommand } from './run.js';
import { schemaCommand } from './schema.js';
import { traceCommand } from './trace.js';
import { treeCommand } from './tree.js';
import { updateCommand } from './update.js';
import { whyCommand } from './why.js';

/** Commands by what they are for, in the order of the help. The first command is the one that needs no name. */
export const COMMAND_GROUPS: readonly CommandGroup[] = [
  { heading: 'Build', commands: [buildCommand, initCommand, profilesCommand] },
  { heading: 'Run', commands: [runCommand, execCommand, psCommand] },
  { heading: 'Maintain', commands: [checkCommand, updateCommand, removeCommand] },
  { heading: 'Images and archives', commands: [exportCommand, ociRuntimeCommand] },
  {
    heading: 'Inspect',
    commands: [treeCommand, whyCommand, inspectCommand, reportCommand, diffCommand],
  },
  { heading: 'Observe and prove', commands: [traceCommand, proveCommand] },
  {
    heading: 'Set up',
    commands: [completionCommand(() => COMMANDS), schemaCommand, optimizeCommand],
  },
];

/** Every command, in the order of the help. */
export const COMMANDS: readonly AnyCommand[] = COMMAND_GROUPS.flatMap(({ commands }) => commands);
