import { outputIsScreen } from './output.js';

const CODES = { red: '31', dim: '2', bold: '1' } as const;

export type Colour = keyof typeof CODES;

/** Colours a text, or returns it unchanged. */
export type Painter = (colour: Colour, text: string) => string;

/** Returns colours for a terminal that supports them, unless NO_COLOR is set (no-color.org). */
export async function painter(): Promise<Painter> {
  if (process.env.NO_COLOR || !(await outputIsScreen())) return (_, text) => text;
  return (colour, text) => `\u001b[${CODES[colour]}m${text}\u001b[0m`;
}
