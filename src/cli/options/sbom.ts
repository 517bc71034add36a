/** The options of every command that can write a bill of materials. */
export const sbomOptions = {
  sbom: {
    choices: ['cyclonedx', 'spdx'],
    describe: 'Also write a software bill of materials: the packages that own the files',
  },
  'sbom-file': {
    type: 'string',
    requiresArg: true,
    describe: 'Path of the bill of materials [default: beside the output, .cdx.json or .spdx.json]',
    complete: 'file',
  },
} as const;
