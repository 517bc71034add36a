import assert from 'node:assert/strict';
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { before, describe, test } from 'node:test';
import { Cleanup } from '../support/cleanup.js';
import { exec, jailbuild } from '../support/cli.js';
import { buildJail, runInJail } from '../support/jail.js';
import { needsRoot } from '../support/need.js';
import { freePort, startServer } from '../support/server.js';
import { tempDir } from '../support/temp-dir.js';

/** The distribution's own Python, as the profile looks it up. */
const PYTHON = '/usr/bin/python3';

describe('Python in a jail', needsRoot('openssl', PYTHON), () => {
  const cleanup = new Cleanup();
  const directory = tempDir();
  const at = (name: string) => path.join(directory, name);
  const jail = at('jail');
  let url: string;

  before(async () => {
    buildJail(jail, [
      '--profile',
      'python',
      '--profile',
      'ssl',
      '--profile',
      'net',
      '--profile',
      'tz',
    ]);
    const openssl = (...args: readonly string[]) => {
      const { status, stderr } = exec('openssl', args, { cwd: directory });
      assert.equal(status, 0, stderr);
    };
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
    openssl('req', '-x509', ...key, '-keyout', 'ca.key', '-out', 'ca.crt', '-subj', '/CN=Test CA');
    openssl(
      ...['req', '-x509', ...key, '-keyout', 'server.key', '-out', 'server.crt'],
      ...['-CA', 'ca.crt', '-CAkey', 'ca.key', '-subj', '/CN=localhost'],
      ...[
        '-addext',
        'subjectAltName=DNS:localhost',
        '-addext',
        'basicConstraints=critical,CA:FALSE',
      ],
    );
    const port = await freePort();
    url = `https://localhost:${port}/`;
    const server = await startServer(
      'openssl',
      [
        ...['s_server', '-accept', `127.0.0.1:${port}`, '-www', '-quiet'],
        ...['-cert', at('server.crt'), '-key', at('server.key')],
      ],
      port,
    );
    cleanup.add(() => server.stop());
  });

  const python = (code: string) => ['python3', '-c', code];

  test('imports its extension modules, and works with them', () => {
    const { stdout } = runInJail(
      jail,
      python(`
import bz2, ctypes, curses, decimal, hashlib, json, lzma, multiprocessing, readline, sqlite3, ssl, uuid, zlib
import xml.etree.ElementTree as tree
db = sqlite3.connect(":memory:")
db.execute("create table t (a int)")
db.executemany("insert into t values (?)", [(n,) for n in range(10)])
libc = ctypes.CDLL("libc.so.6")
print(db.execute("select sum(a) from t").fetchone()[0], libc.abs(-7), ssl.OPENSSL_VERSION.split()[0],
      len(lzma.decompress(lzma.compress(bytes(1000)))), tree.fromstring("<a b='c'/>").get("b"),
      hashlib.sha256(b"").hexdigest()[:8])
`),
    );
    assert.equal(stdout, '45 7 OpenSSL 1000 c e3b0c442\n');
  });

  test('fetches a page over https only from a server whose authority the jail trusts', () => {
    const get = python(`import urllib.request as r; print(r.urlopen("${url}").status)`);
    const refused = jailbuild(['run', jail, '--', ...get]);
    assert.notEqual(refused.status, 0);
    assert.match(refused.stderr, /CERTIFICATE_VERIFY_FAILED/);

    appendFileSync(
      path.join(jail, 'etc/ssl/certs/ca-certificates.crt'),
      readFileSync(at('ca.crt')),
    );
    assert.equal(runInJail(jail, get).stdout, '200\n');
  });

  test('knows the authorities and time zones of the host, and the users of the jail', () => {
    const { stdout } = runInJail(
      jail,
      python(`
import datetime, grp, pwd, ssl, zoneinfo
stats = ssl.create_default_context().cert_store_stats()
print(stats["x509_ca"] > 50, [u.pw_name for u in pwd.getpwall()], grp.getgrgid(0).gr_name)
print(datetime.datetime(2026, 1, 1, tzinfo=zoneinfo.ZoneInfo("Europe/Berlin")).isoformat())
`),
    );
    assert.equal(stdout, "True ['root'] root\n2026-01-01T00:00:00+01:00\n");
  });
});

// prove(1) is where perl has modules of its own; /usr/bin/perl alone is on every Debian.
describe('Perl in a jail', needsRoot('perl', 'prove'), () => {
  const jail = path.join(tempDir(), 'jail');
  before(() => buildJail(jail, ['--profile', 'perl', '--profile', 'devices']));

  test('uses core modules, including those with shared libraries', () => {
    const { stdout } = runInJail(jail, [
      ...[
        'perl',
        '-MPOSIX=floor',
        '-MList::Util=sum',
        '-MEncode=encode',
        '-MDigest::SHA=sha256_hex',
      ],
      ...[
        '-MData::Dumper',
        '-MFile::Temp=tempfile',
        '-MSocket',
        '-MTime::HiRes',
        '-MUnicode::Normalize',
        '-e',
      ],
      `my ($fh, $name) = tempfile();
       print $fh "a\\n"; close $fh;
       print floor(3.7), " ", sum(1 .. 10), " ", length(encode("UTF-8", "\\x{e9}")), " ",
         substr(sha256_hex(""), 0, 8), " ", -s $name, " ", (lc "\\x{100}" eq "\\x{101}" ? 1 : 0),
         " ", length(NFD("\\x{e9}")), "\\n";`,
    ]);
    assert.equal(stdout, '3 55 2 e3b0c442 2 1 2\n');
  });
});

describe('Node.js in a jail', needsRoot('node'), () => {
  const directory = tempDir();
  const jail = path.join(directory, 'jail');

  test('runs an included script that serves and fetches a page', () => {
    const script = path.join(directory, 'main.mjs');
    writeFileSync(
      script,
      `
import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import { availableParallelism, userInfo } from 'node:os';
const server = createServer((request, response) => response.end(request.url));
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
const page = await (await fetch(\`http://127.0.0.1:\${server.address().port}/page\`)).text();
server.close();
console.log(page, createHash('sha256').digest('hex').slice(0, 8), availableParallelism() > 0,
  userInfo().username, new Intl.NumberFormat('de').format(1234.5));
`,
    );
    buildJail(jail, ['--profile', 'node', '--include', `${script}:/app/main.mjs`]);
    const { stdout } = runInJail(jail, ['node', '/app/main.mjs'], ['--network', 'none']);
    assert.equal(stdout, '/page e3b0c442 true root 1.234,5\n');
  });
});
