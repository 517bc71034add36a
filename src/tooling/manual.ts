// Writes the manual pages to dist/man. Run by the build, through tsx.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import packageJson from '../../package.json' with { type: 'json' };
import { COMMANDS } from '../cli/commands/index.js';
import { invokeNsPage, optionsInSource } from './invoke-ns-page.js';
import { jailbuildPage } from './jailbuild-page.js';

/** Date of the last revision of the pages' texts, so that equal sources give equal pages. */
const DATE = '2026-11-29';

const read = (file: string): string => readFileSync(file, 'utf8');
const { version } = packageJson;
const pages = {
  'jailbuild.1': jailbuildPage(COMMANDS, read('docs/cli.md'), DATE, version),
  'invoke_ns.1': invokeNsPage(
    read('src/native/launcher/invoke_ns.1'),
    optionsInSource(read('src/native/launcher/options.h')),
    DATE,
    version,
  ),
};

mkdirSync('dist/man', { recursive: true });
for (const [name, page] of Object.entries(pages)) writeFileSync(`dist/man/${name}`, page);
