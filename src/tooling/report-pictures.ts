// Usage: node --import tsx src/tooling/report-pictures.ts [DIR]
// Takes pictures of a report in both themes and three widths, in DIR. Without DIR, takes only the
// picture of the README, docs/report.webp. Needs Chromium and the programs below; run it after npm
// run build.
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { type Browser, chromium } from 'playwright-core';

const PROJECT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
const PROGRAMS = ['bash', 'ls', 'git', 'python3', 'ssh', 'top', 'rsync', 'ping'];
const WIDTHS = [360, 900, 1600];

/** Takes the picture of the README: the top of the page and its map, at 1.5 times the pixels. */
async function readmePicture(browser: Browser, report: string): Promise<void> {
  const page = await browser.newPage({
    viewport: { width: 1180, height: 860 },
    deviceScaleFactor: 1.5,
    colorScheme: 'light',
    // The page's policy allows no other images.
    bypassCSP: true,
  });
  await page.goto(report);
  const png = await page.screenshot();
  // Chromium writes WebP only through a canvas.
  const url = await page.evaluate<string>(`(async () => {
    const image = new Image();
    image.src = 'data:image/png;base64,${png.toString('base64')}';
    await image.decode();
    const canvas = document.createElement('canvas');
    [canvas.width, canvas.height] = [image.width, image.height];
    canvas.getContext('2d').drawImage(image, 0, 0);
    return canvas.toDataURL('image/webp', 0.82);
  })()`);
  const bytes = Buffer.from(url.slice(url.indexOf(',') + 1), 'base64');
  writeFileSync(path.join(PROJECT, 'docs/report.webp'), bytes);
  console.log(`docs/report.webp: ${bytes.length} bytes`);
}

async function allPictures(browser: Browser, report: string, directory: string): Promise<void> {
  mkdirSync(directory, { recursive: true });
  for (const colorScheme of ['light', 'dark'] as const) {
    for (const width of WIDTHS) {
      const page = await browser.newPage({ colorScheme, viewport: { width, height: 1000 } });
      await page.goto(report);
      for (const part of ['header', '#sizes', '#licenses', '#dependencies', '#entries']) {
        const element = page.locator(part).first();
        if ((await element.count()) === 0) continue;
        await element.scrollIntoViewIfNeeded();
        const top = await element.evaluate((node) => {
          node.scrollIntoView();
          return node.getBoundingClientRect().height;
        });
        const name = `${part.replace('#', '')}-${colorScheme}-${width}.png`;
        const file = path.join(directory, name);
        await page.screenshot({ path: file });
        console.log(`${file}: ${Math.round(top)} pixels high`);
      }
      await page.close();
    }
  }
}

const [directory] = process.argv.slice(2);
const work = mkdtempSync(path.join(tmpdir(), 'jailbuild-pictures-'));
const browser = await chromium.launch({
  executablePath: '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu'],
});
try {
  const file = path.join(work, 'report.html');
  const build = ['report', ...PROGRAMS, '--profile', 'python', '-o', file, '--quiet'];
  execFileSync(path.join(PROJECT, 'dist/jailbuild'), build, {
    stdio: ['ignore', 'inherit', 'ignore'],
  });
  const report = pathToFileURL(file).href;
  if (directory === undefined) await readmePicture(browser, report);
  else await allPictures(browser, report, directory);
} finally {
  await browser.close();
  rmSync(work, { recursive: true });
}
