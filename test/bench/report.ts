import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { gzipSync } from 'node:zlib';
import { chromium, type Page } from 'playwright-core';
import { jailbuild } from '../support/cli.js';
import { roundsOf } from './compare.js';

const ROUNDS = roundsOf(7);

/** Interactions as scripts: each returns milliseconds until the next frame was drawn. */
const FRAME = `const frame = () => new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
const timed = async (act) => { await frame(); const start = performance.now(); act(); document.body.offsetHeight; await frame(); return performance.now() - start; };
const type = (id, text) => { const field = document.getElementById(id); field.value = text; field.dispatchEvent(new Event('input')); field.dispatchEvent(new Event('change')); };
const head = (name) => [...document.querySelectorAll('#all thead button')].find((button) => button.textContent === name);`;
const INTERACTIONS: Readonly<Record<string, string>> = {
  'filter "lib"': `type('filter', 'lib')`,
  'filter, one letter': `type('filter', 'l')`,
  'filter, none': `type('filter', '')`,
  'sort by size': `head('Size').click()`,
  'sort by path': `head('Path').click()`,
  'focus libc.so.6': `type('node', paths.find((path) => path.endsWith('/libc.so.6')))`,
  'focus bash': `type('node', paths.find((path) => path.endsWith('/bash')))`,
  'map by directory': `document.querySelector('input[value=directory]').click()`,
  'map by package': `document.querySelector('input[value=package]').click()`,
  'list one area': `document.querySelector('#map button').click()`,
  'list all again': `document.querySelector('.chip').click()`,
  'all rows': `document.getElementById('more').click()`,
  'filter of all rows': `type('filter', 'lib')`,
};

/**
 * Measures the page of all programs of /usr/bin: its size, the time until Chromium has drawn it,
 * and its interactions.
 */
export async function benchReport(): Promise<void> {
  const directory = mkdtempSync(path.join(tmpdir(), 'jailbuild-bench-'));
  const browser = await chromium.launch({
    executablePath: '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu'],
  });
  try {
    const file = process.env.BENCH_REPORT ?? (await writeReport(directory));
    const html = readFileSync(file);
    const entries = html.toString().match(/<tr id=e/g)?.length;
    console.log(
      `report of all of /usr/bin: ${entries} entries, ${html.length} bytes, ${gzipSync(html).length} with gzip`,
    );
    const opened: number[] = [];
    const times = new Map<string, { wall: number[]; processor: number[] }>();
    for (let round = 0; round < ROUNDS; round++) {
      const page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
      await page.goto(pathToFileURL(file).href);
      opened.push(await openedAfter(page));
      const session = await page.context().newCDPSession(page);
      await session.send('Performance.enable', { timeDomain: 'threadTicks' });
      const busy = async (): Promise<number> => {
        const { metrics } = await session.send('Performance.getMetrics');
        return (metrics.find(({ name }) => name === 'TaskDuration')?.value ?? 0) * 1000;
      };
      for (const [name, act] of Object.entries(INTERACTIONS)) {
        const script = `(async () => { ${FRAME} const paths = [...document.querySelectorAll('#all tbody th')].map((cell) => cell.firstChild.data); return timed(() => { ${act}; }); })()`;
        const list = times.get(name) ?? { wall: [], processor: [] };
        times.set(name, list);
        const before = await busy();
        list.wall.push(await page.evaluate<number>(script));
        list.processor.push((await busy()) - before);
      }
      await page.close();
    }
    console.log(`opened, first frame drawn: ${summary(opened)}`);
    for (const [name, { wall, processor }] of times) {
      console.log(`${name}: ${summary(wall)}, processor ${summary(processor)}`);
    }
  } finally {
    await browser.close();
    rmSync(directory, { recursive: true });
  }
}

async function writeReport(directory: string): Promise<string> {
  const programs = readdirSync('/usr/bin')
    .map((name) => `/usr/bin/${name}`)
    .filter((program) => existsSync(program) && statSync(program).isFile() && isProgram(program));
  const file = path.join(directory, 'report.html');
  const args = ['report', ...programs, '--allow-missing', '--quiet', '-o', file];
  const { status, stderr } = jailbuild(args);
  if (status !== 0) throw new Error(stderr);
  return file;
}

/** Returns whether a file is ELF or a script, by its first bytes. */
function isProgram(file: string): boolean {
  const start = readFileSync(file).subarray(0, 4).toString('latin1');
  return start === '\x7fELF' || start.startsWith('#!');
}

/**
 * Returns milliseconds from the start of the navigation to the first contentful paint, with all
 * scripts run.
 */
async function openedAfter(page: Page): Promise<number> {
  return page.evaluate<number>(`new Promise((done) => {
    const look = () => {
      const paint = performance.getEntriesByName('first-contentful-paint')[0];
      const [navigation] = performance.getEntriesByType('navigation');
      if (!paint || navigation.loadEventEnd === 0) setTimeout(look, 5);
      else done(Math.max(paint.startTime, navigation.loadEventEnd));
    };
    look();
  })`);
}

function summary(list: readonly number[]): string {
  const sorted = [...list].sort((a, b) => a - b);
  const at = (share: number) => (sorted[Math.floor(share * (sorted.length - 1))] ?? 0).toFixed(0);
  return `median ${at(0.5)} ms (${at(0)} to ${at(1)})`;
}
