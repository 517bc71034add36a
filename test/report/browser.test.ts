import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { type Browser, chromium, type Page } from 'playwright-core';
import { UNUSED_SCHEMA, unusedFilesJson } from '../../src/manifest/unused-files.js';
import { jailbuild } from '../support/cli.js';
import { needs } from '../support/need.js';
import { tempDir } from '../support/temp-dir.js';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
/** Programs with several hundred files, packages and reasons. */
const PROGRAMS = ['bash', 'ls', 'python3', 'perl', 'git', 'ssh', 'top', 'rsync'];

describe('the report in a browser', needs('chromium', ...PROGRAMS), () => {
  const directory = tempDir();
  const file = path.join(directory, 'report.html');
  const unused = path.join(directory, 'unused.html');
  const difference = path.join(directory, 'difference.html');
  const libcap = '/usr/lib/x86_64-linux-gnu/libcap.so.2.66';
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
    const paths = ['/usr/bin/ls', libcap];
    const runs = path.join(directory, 'unused.json');
    writeFileSync(
      runs,
      unusedFilesJson({
        schema: UNUSED_SCHEMA,
        runs: [{ command: ['/usr/bin/bash', '-c', 'exit'] }],
        incomplete: 0,
        total: { files: 20, size: 5_000_000 },
        unused: { files: 2, size: 200_000 },
        groups: [{ paths: [...paths, '/usr/bin/gone'], size: 200_000 }],
      }),
    );
    const marked = jailbuild(['report', 'bash', 'ls', '--unused', runs, '-o', unused]);
    assert.equal(marked.status, 0, marked.stderr);
    assert.equal(jailbuild(['diff', 'bash', 'ls', '--html', difference, '--quiet']).status, 0);
    browser = await chromium.launch({
      executablePath: '/usr/bin/chromium',
      args: ['--no-sandbox', '--disable-gpu'],
    });
  });
  after(() => browser?.close());

  async function open(
    options: Parameters<Browser['newPage']>[0] = {},
    of = file,
    hash = '',
  ): Promise<Page> {
    const page = await browser.newPage(options);
    const problems: string[] = [];
    page.on('pageerror', (error) => problems.push(String(error)));
    page.on('console', (message) => {
      if (message.type() === 'error') problems.push(message.text());
    });
    page.on('request', (request) => {
      if (!request.url().startsWith('file:')) problems.push(request.url());
    });
    await page.goto(pathToFileURL(of).href + hash);
    assert.deepEqual(problems, []);
    return page;
  }

  for (const colorScheme of ['light', 'dark'] as const) {
    for (const width of [360, 900, 1600]) {
      test(`has no accessibility violations, ${colorScheme}, ${width} pixels wide`, async () => {
        // The policy of the page only allows its own script.
        const viewport = { width, height: 900 };
        for (const of of width === 900 ? [unused, difference] : [unused]) {
          const page = await open({ colorScheme, viewport, bypassCSP: true }, of);
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
        }
      });
    }
  }

  test('filters, sorts and shows reasons by keyboard', async () => {
    const page = await open();
    const rows = page.locator('#all tbody tr:visible');
    const all = await page.locator('#all tbody tr').count();
    assert.ok(all > 300, `${all} rows`);
    // The page shows the first rows, and more on request.
    assert.equal(await rows.count(), 200);
    const more = page.getByRole('button', { name: /^Show \d+ more/ }).last();
    await more.focus();
    await page.keyboard.press('Enter');
    assert.equal(await rows.count(), Math.min(all, 600));
    await page.getByLabel('Filter').focus();
    await page.keyboard.type('requested rsync');
    assert.equal(await rows.count(), 1);
    assert.equal(await page.getByRole('status').textContent(), `1 of ${all}`);
    await page.getByLabel('Filter').fill('');
    const size = page.locator('#all thead').getByRole('button', { name: 'Size' });
    await size.focus();
    await page.keyboard.press('Enter');
    assert.equal(await page.locator('#all th[aria-sort="descending"]').textContent(), 'Size');
    const sizes = await page.evaluate<number[]>(
      "[...document.querySelectorAll('#all td[data-sort]')].slice(0, 50).map((cell) => Number(cell.dataset.sort))",
    );
    assert.deepEqual(
      sizes,
      sizes.toSorted((a, b) => b - a),
    );
    assert.ok((sizes[0] ?? 0) > 1_000_000);

    await page.getByLabel('Show').fill('/usr/bin/rsync');
    await page.keyboard.press('Enter');
    const here = page.locator('#here');
    assert.equal(await here.getAttribute('aria-label'), '/usr/bin/rsync');
    assert.match((await here.textContent()) ?? '', /requested as rsync/);
    await page.locator('#focus > div').nth(2).getByRole('button').first().focus();
    await page.keyboard.press('Enter');
    assert.notEqual(await here.getAttribute('aria-label'), '/usr/bin/rsync');
    // Focus moves to the chosen file, whose chain leads back.
    assert.equal(await page.evaluate<string>('document.activeElement.id'), 'here');
    await here.getByRole('button', { name: '/usr/bin/' }).first().click();
    assert.match((await here.getAttribute('aria-label')) ?? '', /^\/usr\/bin\//);
    await page.close();
  });

  test('shows the dependencies of a file, and those that only it needs', async () => {
    const page = await open();
    const fact = async (of: string, name: string): Promise<string> => {
      await page.getByLabel('Show').fill(of);
      await page.keyboard.press('Enter');
      const term = page.locator('#here dt', { hasText: name });
      return (await term.locator('xpath=following-sibling::dd[1]').textContent()) ?? '';
    };
    const libc = '/usr/lib/x86_64-linux-gnu/libc.so.6';
    // Every program needs it, so it is the only user of nothing.
    const [alone, whole] = [await fact(libc, 'Only for'), await fact(libc, 'With what')];
    assert.match(whole, /MiB in \d+ entries$/);
    assert.match(alone, /MiB in \d+ entr(y|ies)$/);
    const count = (text: string) => Number(/(\d+) entr/.exec(text)?.[1]);
    const program = [
      await fact('/usr/bin/rsync', 'Only for'),
      await fact('/usr/bin/rsync', 'With what'),
    ];
    assert.ok(count(program[0] ?? '') < count(program[1] ?? ''), program.join('; '));
    assert.ok(count(program[0] ?? '') >= 1);
    await page.close();
  });

  test('lists the files of a map area chosen with arrow keys', async () => {
    const page = await open();
    const tiles = page.locator('#map > button');
    assert.ok((await tiles.count()) > 20);
    // One tab stop, wherever the arrow keys lead.
    assert.equal(await page.locator('#map > button[tabindex="0"]').count(), 1);
    await tiles.first().focus();
    await page.keyboard.press('ArrowRight');
    const label = await page.evaluate<string>('document.activeElement.title');
    assert.notEqual(label, await tiles.first().getAttribute('title'));
    assert.equal(await page.locator('#map > button[tabindex="0"]').getAttribute('title'), label);
    await page.keyboard.press('Enter');
    const [, name, files] = /^(.*), [\d.]+ \S+, (\d+) files?$/.exec(label) ?? [];
    assert.match((await page.locator('.chip').textContent()) ?? '', new RegExp(`^package ${name}`));
    assert.equal(await page.locator('#all tbody tr:visible').count(), Number(files));
    await page.keyboard.press('Enter');
    assert.equal(await page.locator('.chip').count(), 0);
    await page.getByLabel('directory').check();
    assert.match((await tiles.first().getAttribute('title')) ?? '', /^\/usr/);
    await page.close();
  });

  test('shows the row that a reason links to, on any page', async () => {
    const page = await open();
    await page.getByLabel('Filter').fill('libpopt needed rsync');
    const link = page.locator('#all tbody tr:visible a', { hasText: 'needed by /usr/bin/rsync' });
    const target = (await link.first().getAttribute('href')) ?? '';
    assert.equal(await page.locator(target).isVisible(), false);
    await link.first().click();
    assert.equal(await page.locator(`${target} th`).isVisible(), true);
    assert.equal(await page.getByLabel('Filter').inputValue(), '');
    await page.close();
    const linked = await open({}, file, '#e500');
    assert.ok(await linked.locator('#e500').isVisible());
    await linked.close();
  });

  test('marks files that runs did not use', async () => {
    const page = await open({}, unused);
    const count = await page.getByRole('button', { name: /^unused \d+$/ }).textContent();
    assert.equal(count, 'unused 2');
    await page.getByRole('button', { name: /^unused/ }).click();
    assert.deepEqual(
      await page
        .locator('#all tbody tr:visible th')
        .evaluateAll((cells) =>
          cells.map(
            (cell) => (cell as unknown as { firstChild: { data: string } }).firstChild.data,
          ),
        ),
      ['/usr/bin/ls', '/usr/lib/x86_64-linux-gnu/libcap.so.2.66'].filter((name) =>
        existsSync(name),
      ),
    );
    assert.match((await page.locator('.figures').textContent()) ?? '', /Unused[\d.]+ KiB in 1 run/);
    await page.close();
  });

  test('filters in time linear in the number of rows', async () => {
    const page = await open();
    const rows = await page.locator('#all tbody tr').count();
    const session = await page.context().newCDPSession(page);
    await session.send('Profiler.enable');
    await session.send('Profiler.startPreciseCoverage', { callCount: true, detailed: true });
    await page.evaluate(`(() => {
      const filter = document.getElementById('filter');
      filter.value = 'lib';
      filter.dispatchEvent(new Event('input'));
    })()`);
    const { result } = await session.send('Profiler.takePreciseCoverage');
    const counts = result.flatMap(({ functions }) =>
      functions.flatMap(({ ranges }) => ranges.map(({ count }) => count)),
    );
    const most = Math.max(...counts);
    assert.ok(rows > 300);
    assert.ok(most >= rows && most < 10 * rows, `${most} executions of a block, ${rows} rows`);
    await page.close();
  });

  test('prints all rows and no controls', async () => {
    const page = await open();
    await page.emulateMedia({ media: 'print' });
    const all = await page.locator('#all tbody tr').count();
    assert.equal(await page.locator('#all tbody tr:visible').count(), all);
    assert.equal(await page.locator('.bar:visible, nav:visible, #more:visible').count(), 0);
    await page.close();
  });

  test('shows plain tables without JavaScript', async () => {
    const page = await open({ javaScriptEnabled: false });
    assert.ok((await page.locator('#all tbody tr').count()) > 300);
    assert.ok((await page.locator('#packages tbody tr').count()) > 10);
    assert.equal(await page.locator('.scripted:visible').count(), 0);
    await page.close();
  });
});
