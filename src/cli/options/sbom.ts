/** The options of every command that can write a bill of materials. */
export const sbomOptions = {
  sbom: {
    choices: ['cyclonedx', 'spdx'],
    describe: 'Also write a bill of materials (SBOM): the packages that own the files',
  },
  'sbom-file': {
    type: 'string',
    requiresArg: true,
    describe:
      'File for the SBOM [default: beside the output, with .cdx.json or .spdx.json appended]',
    complete: 'file',
  },
} as const;
