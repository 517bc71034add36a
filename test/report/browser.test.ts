import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { type Browser, chromium, type Page } from 'playwright-core';
import { jailbuild } from '../support/cli.js';
import { needs } from '../support/need.js';
import { tempDir } from '../support/temp-dir.js';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
/** Programs with several hundred files, packages and reasons. */
const PROGRAMS = ['bash', 'ls', 'python3', 'perl', 'git', 'ssh', 'top', 'rsync'];

describe('the report in a browser', needs('chromium', ...PROGRAMS), () => {
  const directory = tempDir();
  const file = path.join(directory, 'report.html');
  const small = path.join(directory, 'small.html');
  let browser: Browser;

  before(async () => {
    const { status, stderr } = jailbuild([
      'report',
      ...PROGRAMS,
      '--profile',
      'python',
      '-o',
      file,
    ]);
    assert.equal(status, 0, stderr);
    assert.equal(jailbuild(['report', 'bash', 'ls', '-o', small]).status, 0);
    browser = await chromium.launch({
      executablePath: '/usr/bin/chromium',
      args: ['--no-sandbox', '--disable-gpu'],
    });
  });
  after(() => browser?.close());

  async function open(options: Parameters<Browser['newPage']>[0] = {}, of = file): Promise<Page> {
    const page = await browser.newPage(options);
    const problems: string[] = [];
    page.on('pageerror', (error) => problems.push(String(error)));
    page.on('console', (message) => {
      if (message.type() === 'error') problems.push(message.text());
    });
    page.on('request', (request) => {
      if (!request.url().startsWith('file:')) problems.push(request.url());
    });
    await page.goto(pathToFileURL(of).href);
    assert.deepEqual(problems, []);
    return page;
  }

  for (const colorScheme of ['light', 'dark'] as const) {
    for (const width of [360, 900, 1600]) {
      test(`has no accessibility violation, ${colorScheme}, ${width} pixels wide`, async () => {
        // The policy of the page allows its own script alone.
        const viewport = { width, height: 900 };
        const page = await open({ colorScheme, viewport, bypassCSP: true }, small);
        await page.evaluate(AXE);
        const violations = await page.evaluate(async () => {
          const { axe } = globalThis as unknown as {
            axe: { run(): Promise<{ violations: { id: string; nodes: { html: string }[] }[] }> };
          };
          const { violations: found } = await axe.run();
          return found.map(({ id, nodes }) => `${id}: ${nodes[0]?.html}`);
        });
        assert.deepEqual(violations, []);
        const root = 'document.documentElement';
        const overflow = await page.evaluate<number>(`${root}.scrollWidth - ${root}.clientWidth`);
        assert.ok(overflow <= 0, `${overflow} pixels wider than the window`);
        await page.close();
      });
    }
  }

  test('filters, sorts and shows reasons by keyboard', async () => {
    const page = await open();
    const rows = page.locator('#all tbody tr:visible');
    const all = await rows.count();
    assert.ok(all > 300, `${all} rows`);
    await page.getByLabel('Filter').focus();
    await page.keyboard.type('requested rsync');
    assert.equal(await rows.count(), 1);
    assert.equal(await page.getByRole('status').textContent(), `1 of ${all}`);
    await page.getByLabel('Filter').fill('');
    const size = page.locator('#all thead').getByRole('button', { name: 'Size' });
    await size.focus();
    await page.keyboard.press('Enter');
    await page.keyboard.press('Enter');
    assert.equal(await page.locator('#all th[aria-sort="descending"]').textContent(), 'Size');
    const sizes = await page.evaluate<number[]>(
      "[...document.querySelectorAll('#all td[data-sort]')].slice(0, 50).map((cell) => Number(cell.dataset.sort))",
    );
    assert.deepEqual(
      sizes,
      sizes.toSorted((a, b) => b - a),
    );

    await page.getByLabel('Show').fill('/usr/bin/rsync');
    await page.keyboard.press('Enter');
    assert.match((await page.locator('.here').textContent()) ?? '', /^\/usr\/bin\/rsync/);
    await page.locator('#columns div').nth(2).getByRole('button').first().focus();
    await page.keyboard.press('Enter');
    assert.doesNotMatch((await page.locator('.here').textContent()) ?? '', /rsync/);
    await page.close();
  });

  test('stays quick', async () => {
    const page = await open();
    const elapsed = await page.evaluate<number>(`(() => {
      const filter = document.getElementById('filter');
      const start = performance.now();
      filter.value = 'lib';
      filter.dispatchEvent(new Event('input'));
      document.body.getBoundingClientRect();
      return performance.now() - start;
    })()`);
    // A bound against quadratic work, far above what it takes.
    assert.ok(elapsed < 2000, `${elapsed} ms`);
    await page.close();
  });

  test('is plain tables without JavaScript', async () => {
    const page = await open({ javaScriptEnabled: false });
    assert.ok((await page.locator('#all tbody tr').count()) > 300);
    assert.ok((await page.locator('#packages tbody tr').count()) > 10);
    assert.equal(await page.locator('#treemap').isVisible(), false);
    await page.close();
  });
});
