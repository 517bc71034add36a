// Usage: node --import tsx src/tooling/recording.ts
// Records the main job and a failing program on a terminal, as docs/recording.svg. Needs root and
// tmux.
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { STANDARD_PATH } from '../manifest/standard-path.js';

const PROJECT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
const COLUMNS = 96;
const ROWS = 60;

/** The commands to type, in order. */
const COMMANDS = [
  'jailbuild /srv/jail env bash ps ls top',
  'jailbuild run /srv/jail -- ps -e',
  'jailbuild /srv/tcl tclsh',
  'jailbuild /srv/tcl tclsh --with-package --quiet',
  'echo \'puts "it runs: [info patchlevel]"\' | jailbuild run /srv/tcl -- tclsh',
];

/** Terminal colours by ANSI number, with enough contrast on the background below. */
const COLOURS = [
  '#6e7681',
  '#ff7b72',
  '#7ee787',
  '#e3b341',
  '#79c0ff',
  '#d2a8ff',
  '#76e3ea',
  '#e6edf3',
];
const BACKGROUND = '#0d1117';
const FOREGROUND = '#e6edf3';
const LINE_HEIGHT = 19;
const CHARACTER_WIDTH = 8.43;
const MARGIN = 16;

/** Types the commands in a new terminal with an empty /srv, and returns the screen with colours. */
async function record(): Promise<string[]> {
  const work = mkdtempSync(path.join(tmpdir(), 'jailbuild-recording-'));
  const tmux = (...args: readonly string[]) =>
    execFileSync('tmux', ['-S', `${work}/tmux`, '-f', '/dev/null', ...args], { encoding: 'utf8' });
  try {
    mkdirSync(`${work}/bin`);
    symlinkSync(path.join(PROJECT, 'dist/jailbuild.cjs'), `${work}/bin/jailbuild`);
    const search = [`${work}/bin`, path.dirname(process.execPath), ...STANDARD_PATH].join(':');
    writeFileSync(`${work}/rc`, `PS1='$ '; PATH=${search}; cd /srv\n`);
    const shell = `mount -t tmpfs -o mode=755 tmpfs /srv && exec bash --rcfile ${work}/rc -i`;
    const size = ['-x', String(COLUMNS), '-y', String(ROWS)];
    tmux('new-session', '-d', ...size, `unshare --mount --propagation private sh -c '${shell}'`);
    await prompt(tmux, 1);
    for (const [index, command] of COMMANDS.entries()) {
      tmux('send-keys', '-l', command);
      tmux('send-keys', 'Enter');
      await prompt(tmux, index + 2);
    }
    return tmux('capture-pane', '-p', '-e').trimEnd().split('\n').slice(0, -1);
  } finally {
    tmux('kill-server');
    rmSync(work, { recursive: true, force: true });
  }
}

async function prompt(tmux: (...args: readonly string[]) => string, count: number): Promise<void> {
  for (let tries = 0; tries < 1200; tries++) {
    const lines = tmux('capture-pane', '-p').trimEnd().split('\n');
    const prompts = lines.filter((line) => /^\$( |$)/.test(line)).length;
    if (prompts >= count && /^\$ ?$/.test(lines.at(-1) ?? '')) return;
    await sleep(50);
  }
  throw new Error(`the command does not end; the screen is\n${tmux('capture-pane', '-p')}`);
}

/** A part of a line in one style. */
interface Run {
  readonly text: string;
  readonly colour: string;
  readonly isBold: boolean;
}

/** Sequences that set colours (ECMA-48, SGR). */
const SGR = new RegExp(`${String.fromCharCode(27)}\\[([0-9;]*)m`);

/** Splits a line where its colours change. */
function runsOf(line: string): Run[] {
  const runs: Run[] = [];
  let colour = FOREGROUND;
  let isBold = false;
  // Text and codes alternate, since the pattern has one group.
  for (const [index, part] of line.split(SGR).entries()) {
    if (index % 2 === 0) {
      if (part !== '') runs.push({ text: part, colour, isBold });
      continue;
    }
    for (const code of part.split(';').map(Number)) {
      if (code === 0 || code === 39) colour = FOREGROUND;
      if (code === 0 || code === 22) isBold = false;
      if (code === 1) isBold = true;
      const number = code >= 90 ? code - 90 : code - 30;
      if ((code >= 30 && code <= 37) || (code >= 90 && code <= 97)) {
        colour = COLOURS[number] ?? FOREGROUND;
      }
    }
  }
  return runs;
}

function svg(lines: readonly string[]): string {
  const width = Math.ceil(COLUMNS * CHARACTER_WIDTH) + 2 * MARGIN;
  const height = lines.length * LINE_HEIGHT + 2 * MARGIN;
  const escaped = (text: string) =>
    text.replace(/[&<>]/g, (character) => `&#${character.charCodeAt(0)};`);
  const rows = lines.map((line, index) => {
    const spans = runsOf(line).map(
      ({ text, colour, isBold }) =>
        `<tspan fill="${colour}"${isBold ? ' font-weight="bold"' : ''}>${escaped(text)}</tspan>`,
    );
    const y = MARGIN + (index + 0.8) * LINE_HEIGHT;
    return `<text x="${MARGIN}" y="${y.toFixed(1)}" xml:space="preserve">${spans.join('')}</text>`;
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img">`,
    '<title>A terminal: a jail is built and entered; a program that would fail in its jail is explained, built with its package, and runs</title>',
    `<rect width="100%" height="100%" rx="8" fill="${BACKGROUND}"/>`,
    '<g font-family="ui-monospace,SFMono-Regular,Menlo,Consolas,monospace" font-size="14">',
    ...rows,
    '</g>',
    '</svg>',
    '',
  ].join('\n');
}

writeFileSync(path.join(PROJECT, 'docs/recording.svg'), svg(await record()));
