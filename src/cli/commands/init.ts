import { closeSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { errnoOf, JailbuildError, strerror } from '../../errors.js';
import { toBytes } from '../../fs/path-bytes.js';
import { defineCommand } from '../command.js';
import { EXIT } from '../exit-status.js';
import { JAIL_FILE_NAME } from '../options/jail-file.js';
import { jsonLine } from '../output/json.js';
import { writeOut } from '../output/output.js';
import { printable } from '../output/text.js';

const positionals = {
  file: {
    type: 'string',
    describe: 'File to write [default: jail.yaml]',
    complete: 'file',
  },
} as const;

const options = {
  json: { type: 'boolean', describe: 'Print one JSON result' },
} as const;

/** The schema that this version reads by, wherever it is installed: no address on the network. */
function withSchema(template: string, templatePath: (inside: string) => string): string {
  const schema = templatePath('schema/jail.schema.json');
  return template.replace(/(?<=\$schema=)\S+/, () => schema);
}

/** A file that is there is left alone; one that cannot be written whole is not left. */
function writeNew(file: string, text: string): void {
  const fd = openSync(toBytes(file), 'wx');
  try {
    writeFileSync(fd, text);
  } catch (error) {
    rmSync(toBytes(file), { force: true });
    throw error;
  } finally {
    closeSync(fd);
  }
}

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
      writeNew(file, withSchema(readFileSync(templatePath(JAIL_FILE_NAME), 'utf8'), templatePath));
    } catch (error) {
      const errno = errnoOf(error);
      if (errno === undefined) throw error;
      throw errno === 'EEXIST'
        ? new JailbuildError(
            'FILE_EXISTS',
            `${file}: already exists and is not overwritten: name another file`,
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
