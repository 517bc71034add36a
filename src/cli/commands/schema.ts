import { readFileSync } from 'node:fs';
import { defineCommand } from '../command.js';
import { EXIT } from '../exit-status.js';
import { writeOut } from '../output/output.js';

const positionals = {
  what: {
    choices: ['jail', 'profile'],
    demandOption: true,
    complete: ['jail', 'profile'],
    describe: 'Kind of file: jail or profile',
  },
} as const;

export const schemaCommand = defineCommand({
  name: 'schema',
  usage: '<what>',
  summary: 'Print the JSON Schema of jail files or profiles, for editors and checkers',
  positionals,
  options: {},
  examples: [['schema jail > jail.schema.json', 'Save the schema of jail files']],
  async run({ what }) {
    const { templatePath } = await import('../../profile/templates.js');
    writeOut(readFileSync(templatePath(`schema/${what}.schema.json`), 'utf8'));
    return EXIT.ok;
  },
});
