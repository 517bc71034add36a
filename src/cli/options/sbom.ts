/** The options of every command that can write a bill of materials. */
export const sbomOptions = {
  sbom: {
    choices: ['cyclonedx', 'spdx'],
    describe: 'Write a software bill of materials too: the packages that files are from',
  },
  'sbom-file': {
    type: 'string',
    requiresArg: true,
    describe: 'Where it goes [default: beside what is written, .cdx.json or .spdx.json]',
    complete: 'file',
  },
} as const;
