import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { JailbuildError } from '../../../src/errors.js';
import { FileFacts } from '../../../src/fs/file-facts.js';
import { Sysroot } from '../../../src/fs/sysroot.js';
import type { ResolveRequest } from '../../../src/manifest/request.js';
import { atOnce } from '../../../src/manifest/steps.js';
import { adviceOn } from '../../../src/resolve/advice/advice-on.js';
import { AskedJail, JailContents } from '../../../src/resolve/advice/jail-contents.js';
import { type AdviceStore, Verdicts } from '../../../src/resolve/advice/verdicts.js';
import { Resolving } from '../../../src/resolve/resolve.js';
import { until } from '../../support/process.js';
import { makeSysroot } from '../../support/sysroot.js';
import { tempDir } from '../../support/temp-dir.js';

describe('kept advice', async () => {
  const directory = tempDir();
  const host = makeSysroot(directory, 'ls', 'env');
  const place = (name: string) => path.join(host, name);
  mkdirSync(place('/etc/conf.d'), { recursive: true });
  for (const name of ['/etc/read', '/etc/gone', '/etc/conf.d/one', '/etc/stamp']) {
    writeFileSync(place(name), 'text\n');
  }
  const facts = () => new FileFacts(path.join(directory, 'cache/facts'), 'me');
  const store = (kept: FileFacts): AdviceStore => ({
    advice: ({ stat }, name) => kept.get(stat, name),
    addAdvice: ({ stat }, name, advice) => kept.replace(stat, advice, name),
    isSettled: (stat) => kept.isSettled(stat),
  });
  const advice = [
    { weight: 2, advice: { id: 'data', program: 'ls', text: 'ls names it', add: ['it'] } },
  ] as const;

  /** Resolves anew, as another run of the program would. */
  const look = (request: Partial<ResolveRequest> = {}) => {
    const sysroot = new Sysroot(host);
    const begun = atOnce(Resolving.begin({ programs: ['ls'], ...request }, { sysroot }));
    begun.finish();
    const { resolution, requested } = begun.advisable;
    const contents = new JailContents(resolution, sysroot.probe, new Set());
    const [program] = requested;
    assert.ok(program);
    return { probe: sysroot.probe, contents, program };
  };
  test('is found without a database that cannot be read', async () => {
    const sysroot = new Sysroot(host);
    const begun = atOnce(Resolving.begin({ programs: ['ls'] }, { sysroot }));
    begun.finish();
    const openDatabase = async () => {
      throw new JailbuildError('NOT_READABLE', '/var/lib/dpkg/status: EACCES');
    };
    assert.deepEqual(await adviceOn(begun.advisable, { openDatabase, kept: undefined }), []);
  });

  const recall = (request?: Partial<ResolveRequest>) => {
    const { probe, contents, program } = look(request);
    return new Verdicts(store(facts()), probe, contents).recall(program);
  };
  /** Keeps the advice as if it came of these look-ups. */
  const keep = (
    request?: Partial<ResolveRequest>,
    weight: number = advice[0].weight,
    further: readonly string[] = [],
  ) => {
    const kept = facts();
    const { probe, contents, program } = look(request);
    const part = probe.part();
    const jail = new AskedJail(contents);
    for (const name of ['/etc/read', '/etc/gone', '/etc/absent', '/etc/stamp']) part.trace(name);
    part.names('/etc/conf.d');
    for (const name of further) part.trace(`/etc/conf.d/${name}`);
    jail.has('/usr/bin/env');
    jail.holds('/usr/share');
    jail.library('libc.so.6');
    jail.runBy(program.trace.path, 'command');
    jail.hasUser('nobody');
    jail.read(program.trace);
    new Verdicts(store(kept), probe, contents).keep(program, {
      advice: [{ ...advice[0], weight }],
      part,
      jail,
      stamps: ['/etc/stamp', '/etc'],
    });
    kept.save();
  };
  /** Keeps the advice once nothing that it depends on changed a moment ago. */
  const kept = () =>
    until(() => {
      keep();
      return recall() !== undefined;
    }, 'no advice is kept');

  test('is that of the same jail on the same host', async () => {
    await kept();
    assert.deepEqual(recall(), advice);
    // What the advice did not ask for may differ.
    assert.deepEqual(recall({ libraryPath: ['/opt'] }), advice);
  });

  test('is not that of a jail that answers differently', async () => {
    await kept();
    assert.equal(recall({ programs: ['ls', 'env'] }), undefined);
    assert.deepEqual(recall(), advice);
  });

  test('is kept for several jails', async () => {
    await kept();
    const before = { request: { programs: ['ls', 'env'] }, weight: 3 };
    keep(before.request, before.weight);
    assert.deepEqual(recall(before.request), [{ ...advice[0], weight: before.weight }]);
    assert.deepEqual(recall(), advice);
  });

  test('is kept with thousands of characters', async () => {
    for (let count = 0; count < 200; count++) {
      const text = `of ${count}`.repeat(10);
      mkdirSync(place(`/etc/conf.d/${text}`), { recursive: true });
    }
    await kept();
    keep(undefined, 2, readdirSync(place('/etc/conf.d')));
    assert.deepEqual(recall(), advice);
    rmSync(place('/etc/conf.d/of 7of 7of 7of 7of 7of 7of 7of 7of 7of 7'), { recursive: true });
    assert.equal(recall(), undefined);
  });

  test('is not that of a program with another name', async () => {
    await kept();
    assert.equal(recall({ programs: ['/usr/bin/ls'] }), undefined);
  });

  for (const { what, change } of [
    { what: 'a file changed', change: () => writeFileSync(place('/etc/read'), 'TEXT\n') },
    { what: 'a file is gone', change: () => rmSync(place('/etc/gone')) },
    { what: 'a file appeared', change: () => writeFileSync(place('/etc/absent'), '') },
    {
      what: 'a directory has another name',
      change: () => writeFileSync(place('/etc/conf.d/two'), ''),
    },
    { what: 'a stamp changed', change: () => utimesSync(place('/etc/stamp'), 1, 1) },
    { what: 'the program changed', change: () => utimesSync(place('/usr/bin/ls'), 1, 1) },
  ]) {
    test(`is found anew if ${what}`, async () => {
      await kept();
      change();
      assert.equal(recall(), undefined);
    });
  }

  test('is not kept while a file could change without another time', async () => {
    await kept();
    writeFileSync(place('/etc/read'), 'now\n');
    keep();
    assert.equal(recall(), undefined);
    await kept();
    assert.deepEqual(recall(), advice);
  });
});
