import type { AnyCommand } from '../command.js';
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

/** Every command, in the order of the help. The first is the one that needs no name. */
export const COMMANDS: readonly AnyCommand[] = [
  buildCommand,
  runCommand,
  execCommand,
  psCommand,
  checkCommand,
  updateCommand,
  removeCommand,
  exportCommand,
  reportCommand,
  diffCommand,
  traceCommand,
  proveCommand,
  treeCommand,
  whyCommand,
  inspectCommand,
  profilesCommand,
  initCommand,
  schemaCommand,
  optimizeCommand,
  ociRuntimeCommand,
  completionCommand(() => COMMANDS),
];
