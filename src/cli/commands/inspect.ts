import { defineCommand } from '../command.js';
import { EXIT } from '../exit-status.js';
import { resolveChoices, resolveOptions } from '../options/resolve.js';
import { jsonLine } from '../output/json.js';
import { writeOut } from '../output/output.js';

const positionals = {
  file: {
    type: 'string',
    demandOption: true,
    describe: 'ELF file by path, or a program by name',
    complete: 'program',
  },
} as const;

const options = {
  sysroot: resolveOptions.sysroot,
  json: { type: 'boolean', describe: 'Print one JSON result' },
} as const;

export const inspectCommand = defineCommand({
  name: 'inspect',
  usage: '<file>',
  summary: 'Show what an ELF file declares: its loader, libraries, notes and sections',
  positionals,
  options,
  examples: [['inspect /usr/bin/bash', 'Show headers, libraries, notes and sections']],
  async run(args) {
    const { Sysroot } = await import('../../fs/sysroot.js');
    const { findProgram } = await import('../../resolve/find-program.js');
    const { resolveEnvironment } = await import('../../resolve/environment.js');
    const { inspectElf } = await import('../../elf/inspect.js');
    const { inspectionJson, inspectionText } = await import('../output/inspection.js');
    const request = { programs: [], ...resolveChoices(args) };
    const sysroot = new Sysroot(request.sysroot);
    const { searchPath, cwd } = resolveEnvironment(request);
    const { trace } = findProgram(sysroot, args.file, searchPath, cwd);
    const reader = sysroot.open(trace);
    try {
      const elf = inspectElf(reader);
      writeOut(
        args.json ? jsonLine(inspectionJson(trace.path, elf)) : inspectionText(trace.path, elf),
      );
    } finally {
      reader.close();
    }
    return EXIT.ok;
  },
});
