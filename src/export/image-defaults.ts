import type { ImageOptions } from './image.js';

/** Defaults of an image's configuration. */
export interface ImageDefaults {
  readonly command?: readonly string[] | undefined;
  /** Variables by name. */
  readonly environment?: Readonly<Record<string, string>>;
}

/**
 * Adds defaults to the configuration of an image: a command if it has neither command nor entrypoint,
 * and variables that are not set.
 */
export function withImageDefaults(
  image: ImageOptions,
  { command, environment = {} }: ImageDefaults,
): ImageOptions {
  const { cmd, entrypoint, env = [] } = image;
  const started = cmd ?? (entrypoint === undefined ? command : undefined);
  const variables = new Map(Object.entries(environment));
  for (const text of env) {
    const cut = text.indexOf('=');
    variables.set(text.slice(0, cut), text.slice(cut + 1));
  }
  return {
    ...image,
    ...(started === undefined ? {} : { cmd: started }),
    env: [...variables].map((variable) => variable.join('=')),
  };
}
