import { execFileSync } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { Extractor, ExtractorConfig } from '@microsoft/api-extractor';

/** Declarations of all sources that the library has, from which those of the public ones are taken. */
const DECLARATIONS = 'dist/types';

/**
 * Writes dist/index.d.ts, the declarations of what the library exports and no others, and
 * dist/library.api.md, a report of them. docs/library.api.md is that of the sources as committed, so that
 * a change of the public surface is seen in review: `npm run api` brings it up to date.
 */
export function writePublicApi() {
  const options = '--noEmit false --declaration --emitDeclarationOnly --outDir';
  execFileSync(
    'node_modules/.bin/tsc',
    ['-p', 'src/tooling/tsconfig.types.json', ...options.split(' '), DECLARATIONS],
    { stdio: 'inherit' },
  );
  const tsconfig = path.resolve(DECLARATIONS, 'tsconfig.json');
  writeFileSync(
    tsconfig,
    JSON.stringify({ extends: path.resolve('tsconfig.json'), include: ['**/*.d.ts'] }),
  );
  const quiet = { default: { logLevel: 'none' } };
  const config = ExtractorConfig.prepare({
    configObject: {
      projectFolder: process.cwd(),
      newlineKind: 'lf',
      mainEntryPointFilePath: path.resolve(DECLARATIONS, 'index.d.ts'),
      compiler: { tsconfigFilePath: tsconfig },
      apiReport: {
        enabled: true,
        reportFileName: 'library.api.md',
        reportFolder: path.resolve('dist'),
        reportTempFolder: path.resolve(DECLARATIONS),
      },
      docModel: { enabled: false },
      dtsRollup: { enabled: true, untrimmedFilePath: path.resolve('dist/index.d.ts') },
      tsdocMetadata: { enabled: false },
      messages: {
        compilerMessageReporting: { default: { logLevel: 'error' } },
        extractorMessageReporting: {
          default: { logLevel: 'error' },
          'ae-missing-release-tag': { logLevel: 'none' },
          'ae-undocumented': { logLevel: 'none' },
        },
        tsdocMessageReporting: quiet,
      },
    },
    configObjectFullPath: undefined,
    packageJsonFullPath: path.resolve('package.json'),
  });
  const result = Extractor.invoke(config, {
    localBuild: true,
    messageCallback(message) {
      // The report is made anew each time, and the version of its compiler is nobody's concern.
      if (message.logLevel === 'error') return;
      message.handled = true;
    },
  });
  rmSync(DECLARATIONS, { recursive: true });
  if (!result.succeeded) throw new Error('the declarations of the library are not whole');
}
