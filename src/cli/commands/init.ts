import { readFileSync, writeFileSync } from 'node:fs';
import { errnoOf, JailbuildError, strerror } from '../../errors.js';
import { defineCommand } from '../command.js';
import { EXIT } from '../exit-status.js';
import { JAIL_FILE_NAME } from '../options/jail-file.js';
import { jsonLine } from '../output/json.js';
import { writeOut } from '../output/output.js';
import { printable } from '../output/text.js';

const positionals = {
  file: {
    type: 'string',
    describe: 'The file to write [default: jail.yaml]',
    complete: 'file',
  },
} as const;

const options = {
  json: { type: 'boolean', describe: 'Print one JSON result' },
} as const;

export const initCommand = defineCommand({
  name: 'init',
  usage: '[file]',
  summary: 'Write a commented jail file to start from',
  positionals,
  options,
  examples: [['init', 'Write jail.yaml in the working directory']],
  async run({ file = JAIL_FILE_NAME, json }) {
    const { templatePath } = await import('../../profile/templates.js');
    try {
      writeFileSync(file, readFileSync(templatePath(JAIL_FILE_NAME)), { flag: 'wx' });
    } catch (error) {
      const errno = errnoOf(error);
      if (errno === undefined) throw error;
      throw errno === 'EEXIST'
        ? new JailbuildError(
            'FILE_EXISTS',
            `${file}: already exists, and is not overwritten: name another file`,
            file,
          )
        : new JailbuildError('WRITE_FAILED', `${file}: ${strerror(error)}`, file);
    }
    writeOut(
      json
        ? jsonLine({ status: 'ok', file })
        : `${printable(file)}: written; edit it, and \`jailbuild${file === JAIL_FILE_NAME ? '' : ` --file ${printable(file)}`}\` builds what it says\n`,
    );
    return EXIT.ok;
  },
});
