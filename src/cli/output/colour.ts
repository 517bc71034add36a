import { outputIsScreen } from './output.js';

const CODES = { red: '31', dim: '2', bold: '1' } as const;

export type Colour = keyof typeof CODES;

/** Puts a text in a colour, or leaves it as it is. */
export type Painter = (colour: Colour, text: string) => string;

/** Colours on a terminal that has some, unless NO_COLOR is set (no-color.org); none elsewhere. */
export async function painter(): Promise<Painter> {
  if (process.env.NO_COLOR || !(await outputIsScreen())) return (_, text) => text;
  return (colour, text) => `\u001b[${CODES[colour]}m${text}\u001b[0m`;
}
