import type { Arguments } from '../command.js';
import type { ROOT_ARGUMENT } from './root.js';
import { commandOptions, reportOptions } from './run/command.js';
import { changeAndDescriptorOptions, fileOptions } from './run/files.js';
import { limitOptions } from './run/limits.js';
import { namespaceOptions, publishOptions } from './run/namespaces.js';
import { rightOptions } from './run/rights.js';
import { supervisionOptions } from './run/supervision.js';

/** Options shared by `run` and `prove`. */
export const provableOptions = {
  ...commandOptions,
  ...namespaceOptions,
  ...fileOptions,
  ...rightOptions,
  ...limitOptions,
} as const;

export const runOptions = {
  ...provableOptions,
  ...publishOptions,
  ...changeAndDescriptorOptions,
  ...reportOptions,
  ...supervisionOptions,
} as const;

export type RunArguments = Arguments<typeof ROOT_ARGUMENT, typeof runOptions>;
