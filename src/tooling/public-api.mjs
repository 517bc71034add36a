import { execFileSync } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { Extractor, ExtractorConfig } from '@microsoft/api-extractor';

/** The declarations of all sources of the library, from which the public ones are extracted. */
const DECLARATIONS = 'dist/types';

/**
 * Writes dist/index.d.ts, the declarations of the library's exports, and dist/library.api.md, a
 * report of them. docs/library.api.md is the committed report, which shows changes of the public
 * surface in review: `npm run api` updates it.
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
      // The report is always rewritten, and its compiler's version does not matter.
      if (message.logLevel === 'error') return;
      message.handled = true;
    },
  });
  rmSync(DECLARATIONS, { recursive: true });
  if (!result.succeeded) throw new Error('the declarations of the library are not whole');
}
