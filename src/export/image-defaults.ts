import type { ImageOptions } from './image.js';

/** What an image's configuration has where nothing else is given. */
export interface ImageDefaults {
  readonly command?: readonly string[] | undefined;
  /** Variables by name. */
  readonly environment?: Readonly<Record<string, string>>;
}

/**
 * Adds defaults to the configuration of an image: a command where there is neither one nor an entrypoint,
 * and the variables that are not set.
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
