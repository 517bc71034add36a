import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { tempDir } from './temp-dir.js';

/** Creates a dpkg database and files, in a root of its own. */
export class DebianRoot {
  readonly path = tempDir();
  #status = '';

  constructor() {
    for (const directory of ['bin', 'lib']) {
      mkdirSync(`${this.path}/usr/${directory}`, { recursive: true });
      symlinkSync(`usr/${directory}`, `${this.path}/${directory}`);
    }
    this.put('/var/lib/dpkg/status', '');
    mkdirSync(`${this.path}/var/lib/dpkg/info`, { recursive: true });
  }

  put(file: string, text: string | Buffer, mode = 0o644): void {
    mkdirSync(path.dirname(this.path + file), { recursive: true });
    writeFileSync(this.path + file, text, { mode });
  }

  link(file: string, target: string): void {
    mkdirSync(path.dirname(this.path + file), { recursive: true });
    symlinkSync(target, this.path + file);
  }

  install(name: string, files: Readonly<Record<string, string | Buffer>>, fields = ''): void {
    this.#status += `Package: ${name}\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1\n${fields}\n`;
    this.put('/var/lib/dpkg/status', this.#status);
    const directories = new Set(Object.keys(files).flatMap(parents));
    const listed = ['/.', ...directories, ...Object.keys(files)];
    this.put(`/var/lib/dpkg/info/${name}.list`, listed.map((line) => `${line}\n`).join(''));
    for (const [file, text] of Object.entries(files)) {
      this.put(file, text, file.includes('/bin/') ? 0o755 : 0o644);
    }
  }
}

function parents(file: string): string[] {
  const parts = file.split('/').slice(1, -1);
  return parts.map((_, index) => `/${parts.slice(0, index + 1).join('/')}`);
}
