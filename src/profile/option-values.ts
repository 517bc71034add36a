export type OptionValue = string | boolean | readonly string[];

/** Options by their long names, as on the command line. */
export type OptionValues = Readonly<Record<string, OptionValue>>;
