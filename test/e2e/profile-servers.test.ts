import assert from 'node:assert/strict';
import { lstatSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { before, describe, test } from 'node:test';
import { Cleanup } from '../support/cleanup.js';
import { exec } from '../support/cli.js';
import { buildJail } from '../support/jail.js';
import { needsRoot } from '../support/need.js';
import { freePort, startServer } from '../support/server.js';
import { tempDir } from '../support/temp-dir.js';

describe('nginx in a jail', needsRoot('nginx', 'chroot'), () => {
  const cleanup = new Cleanup();
  const directory = tempDir();
  const jail = path.join(directory, 'jail');
  let port: number;

  before(async () => {
    port = await freePort();
    const config = path.join(directory, 'nginx.conf');
    writeFileSync(
      config,
      `pid /tmp/nginx.pid;
error_log stderr;
events {}
http {
  include /etc/nginx/mime.types;
  access_log /tmp/access.log;
  gzip on;
  server { listen 127.0.0.1:${port}; root /var/www/html; }
}
`,
    );
    const page = path.join(directory, 'index.html');
    writeFileSync(page, '<p>from the jail</p>\n');
    buildJail(jail, [
      ...['--profile', 'nginx', '--include', `${config}:/etc/nginx/test.conf`],
      ...['--include', `${page}:/var/www/html/index.html`],
    ]);
  });

  test('serves a page as an unprivileged user', async () => {
    const server = await startServer(
      'chroot',
      [
        ...['--userspec=www-data:www-data', jail, '/usr/sbin/nginx'],
        ...['-c', '/etc/nginx/test.conf', '-g', 'daemon off;'],
      ],
      port,
    );
    cleanup.add(() => server.stop());
    const response = await fetch(`http://127.0.0.1:${port}/`);
    assert.equal(response.status, 200);
    assert.equal(response.headers.get('content-type'), 'text/html');
    assert.match(response.headers.get('server') ?? '', /^nginx/);
    assert.equal(await response.text(), '<p>from the jail</p>\n');
    assert.equal((await fetch(`http://127.0.0.1:${port}/none`)).status, 404);
    const { uid } = lstatSync(path.join(jail, 'tmp/access.log'));
    assert.equal(uid, Number(exec('id', ['-u', 'www-data']).stdout));
    assert.doesNotMatch(server.output(), /\[(emerg|alert|crit|error)\](?!.*\/none)/);
  });

  test('accepts the configuration of the distribution', () => {
    const { status, stderr } = exec('chroot', [jail, '/usr/sbin/nginx', '-t']);
    assert.match(stderr, /test is successful/);
    assert.equal(status, 0);
  });
});

describe('names in a jail', needsRoot('dnsmasq', 'ip', 'unshare', 'getent'), () => {
  const directory = tempDir();
  const jail = path.join(directory, 'jail');

  before(() => {
    buildJail(jail, ['--profile', 'net', '--user', 'daemon', '--user', 'guest:4242:100']);
    writeFileSync(path.join(jail, 'etc/resolv.conf'), 'nameserver 127.0.0.1\n');
  });

  const getent = (...args: readonly string[]) => exec('chroot', [jail, 'getent', ...args]);

  test('include its own users and groups', () => {
    const { stdout } = getent('passwd');
    assert.deepEqual(
      stdout
        .trim()
        .split('\n')
        .map((line) => line.split(':').slice(0, 4).join(':')),
      ['root:*:0:0', 'daemon:*:1:1', 'guest:*:4242:100'],
    );
    assert.match(getent('passwd', '4242').stdout, /^guest:\*:4242:100::\/home\/guest:\/bin\/sh$/m);
    assert.match(getent('group', 'users').stdout, /^users:\*:100:$/m);
    assert.notEqual(getent('passwd', 'nobody').status, 0);
  });

  test('are found in files', () => {
    assert.match(getent('hosts', 'localhost').stdout, /^(127\.0\.0\.1|::1) +localhost/);
    assert.match(getent('services', '443/tcp').stdout, /^https +443\/tcp/);
    assert.match(getent('protocols', 'udp').stdout, /^udp +17/);
  });

  test('are found by DNS', () => {
    // In a new network namespace, port 53 is free and no traffic leaves it.
    const script = `
ip link set lo up
dnsmasq --keep-in-foreground --no-resolv --no-hosts --conf-file=/dev/null --pid-file= --user=root \
  --listen-address=127.0.0.1 --bind-interfaces --address=/jail.test/192.0.2.7 \
  --ptr-record=7.2.0.192.in-addr.arpa,jail.test &
dns=$!
for try in $(seq 300); do
  chroot "$0" getent hosts jail.test && break
  sleep 0.2
done
chroot "$0" getent hosts 192.0.2.7
chroot "$0" getent hosts no.such.name.test
echo "status $?"
kill $dns
wait $dns
`;
    const { stdout } = exec('unshare', ['--net', 'sh', '-c', script, jail]);
    // By name, by address, and an unknown name.
    assert.match(stdout, /^(192\.0\.2\.7 +jail\.test\n){2}status 2\n$/);
  });
});
