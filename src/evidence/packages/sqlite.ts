import { createRequire } from 'node:module';
import type * as Sqlite from 'node-sqlite3-wasm';
import { packagedFile } from '../packaged-file.js';

/**
 * Loads the reader of SQLite databases, which only rpm's need; Node 20 has none.
 *
 * @throws Error if the package is not complete
 */
export function loadSqlite(): typeof Sqlite {
  const require = createRequire(import.meta.url);
  return require(packagedFile('sqlite', 'node-sqlite3-wasm.cjs')) as typeof Sqlite;
}
