import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before } from 'node:test';
import { exec, PROJECT } from '../support/cli.js';
import { tempDir } from '../support/temp-dir.js';
import { type Block, isPrinted, PROMPT } from './blocks.js';

/** Directories used in the documents, empty at the start of each. */
const OWN = ['/var/local', '/srv'];

/**
 * Runs a document's commands in a mount namespace in which the directories it uses are private,
 * with jailbuild on the path. Files and directories persist from block to block, variables do not.
 */
export class Place {
  #holder: ChildProcess | undefined;
  #directory: string;
  #sessions = 0;

  constructor() {
    after(async () => {
      this.#tmux('kill-server');
      this.#holder?.kill('SIGKILL');
      if (this.#holder?.exitCode === null) await once(this.#holder, 'exit');
    });
    this.#directory = tempDir();
    before(() => this.#prepare());
  }

  async #prepare(): Promise<void> {
    const bin = path.join(this.#directory, 'bin');
    mkdirSync(bin);
    // The clone or Node may lie below a directory that is replaced by an empty one.
    const project = path.join(this.#directory, 'project');
    const node = path.join(this.#directory, 'node');
    mkdirSync(project);
    writeFileSync(node, '');
    symlinkSync(path.join(project, 'dist/jailbuild.cjs'), path.join(bin, 'jailbuild'));
    symlinkSync(path.join(project, 'dist/invoke_ns'), path.join(bin, 'invoke_ns'));
    symlinkSync(node, path.join(bin, 'node'));
    writeFileSync(path.join(this.#directory, 'rc'), "PS1='$ '\n");
    const mounts = [
      `mount --bind '${PROJECT}' ${project}`,
      `mount --bind '${process.execPath}' ${node}`,
      ...OWN.map((name) => `mkdir -p ${name} && mount -t tmpfs -o mode=755 tmpfs ${name}`),
    ];
    // sshd needs its directory for privilege separation, which the init system creates.
    mounts.push('mount -t tmpfs -o mode=755 tmpfs /run && mkdir /run/sshd');
    mounts.push(`mkdir /srv/node_modules && ln -s ${project} /srv/node_modules/jailbuild`);
    const script = [...mounts, 'echo ready', 'exec sleep infinity'].join(' && ');
    this.#holder = spawn('unshare', ['--mount', '--propagation', 'private', 'sh', '-c', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const { stdout } = this.#holder;
    assert.ok(stdout !== null);
    await once(stdout, 'data');
  }

  /** Writes the file whose content is the block. */
  write({ file = '', text }: Block): void {
    const script = 'mkdir -p "$(dirname "$0")" && cat > "$0"';
    const { status, stderr } = this.#exec(['sh', '-c', script, file], `${text}\n`);
    assert.equal(status, 0, stderr);
  }

  /** Runs the commands one by one, and compares the output of each. */
  run({ steps, fails }: Block): void {
    for (const [index, { line, command, output }] of steps.entries()) {
      const finished = this.#exec(['bash', '--norc', '-c', `exec 2>&1\n${command}`]);
      const toFail = fails && index === steps.length - 1;
      assert.equal(
        finished.status !== 0,
        toFail,
        `line ${line}: status ${finished.status}\n${finished.stdout}`,
      );
      assert.ok(
        output === undefined || isPrinted(output, finished.stdout),
        `line ${line}: ${command}\nprints\n${finished.stdout}instead of\n${output}`,
      );
    }
  }

  /** Types each line after the prompt appears, and compares the whole screen. */
  async type({ steps, text, line }: Block): Promise<void> {
    const session = `s${this.#sessions++}`;
    const size = ['-x', '100', '-y', '200'];
    this.#tmux(
      'new-session',
      '-d',
      '-s',
      session,
      ...size,
      `bash --rcfile ${this.#directory}/rc -i`,
    );
    let screen = await this.#prompt(session, 1);
    for (const [index, { command }] of steps.entries()) {
      this.#tmux('send-keys', '-t', session, '-l', command);
      this.#tmux('send-keys', '-t', session, 'Enter');
      screen = await this.#prompt(session, index + 2);
    }
    const shown = screen.trimEnd().replace(/\n.*$/, '');
    assert.ok(
      isPrinted(text, shown),
      `line ${line}: the screen shows\n${shown}\ninstead of\n${text}`,
    );
  }

  async #prompt(session: string, count: number): Promise<string> {
    let screen = '';
    for (let tries = 0; tries < 2400; tries++) {
      screen = this.#tmux('capture-pane', '-p', '-t', session).stdout.trimEnd();
      const prompts = screen.split('\n').filter((line) => PROMPT.test(`${line} `));
      const last = screen.split('\n').at(-1) ?? '';
      if (prompts.length >= count && new RegExp(`${PROMPT.source}$`).test(`${last} `))
        return screen;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    throw new Error(`no prompt on\n${screen}`);
  }

  #tmux(...args: readonly string[]) {
    return this.#exec([
      'tmux',
      '-S',
      path.join(this.#directory, 'tmux'),
      '-f',
      '/dev/null',
      ...args,
    ]);
  }

  #exec(command: readonly string[], input?: string) {
    const target = String(this.#holder?.pid);
    // --wd= would be a directory outside of the namespace.
    const inside = ['sh', '-c', 'cd /srv && exec "$@"', 'sh', ...command];
    return exec('nsenter', ['--target', target, '--mount', ...inside], {
      ...(input === undefined ? {} : { input }),
      env: {
        PATH: `${this.#directory}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`,
        HOME: '/root',
        TERM: 'xterm',
        LC_ALL: 'C.UTF-8',
      },
    });
  }
}
