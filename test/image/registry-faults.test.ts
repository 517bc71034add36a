import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import type http from 'node:http';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { exportTree } from '../../src/export/export.js';
import type { WorkProgress } from '../../src/manifest/work.js';
import { type Finished, startJailbuild, succeed } from '../support/cli.js';
import { type Answer, type HttpFront, startFront } from '../support/http-front.js';
import { needs, onPath } from '../support/need.js';
import { type Registry, startRegistry } from '../support/registry.js';
import { tempDir } from '../support/temp-dir.js';

const directory = tempDir();
const at = (...names: readonly string[]) => path.join(directory, ...names);
const USER = 'somebody';
const PASSWORD = 'open-sesame-4711';
const needsRegistry = needs('docker-registry', 'skopeo');

const authFile = at('auth.json');
/** Environment without the caller's credentials and caches. */
const env: NodeJS.ProcessEnv = {
  ...process.env,
  HOME: at('home'),
  XDG_CACHE_HOME: at('cache'),
  XDG_CONFIG_HOME: at('config'),
  XDG_RUNTIME_DIR: at('run'),
  DOCKER_CONFIG: at('docker'),
};
delete env.REGISTRY_AUTH_FILE;
delete env.NODE_EXTRA_CA_CERTS;

let registry: Registry | undefined;
before(async () => {
  if (onPath('docker-registry')) registry = await startRegistry(at('registry'));
  writeFileSync(at('large'), Buffer.alloc(40 << 20, 'not much in it, but long. '));
});
after(() => registry?.stop());

interface Fronted {
  readonly front: HttpFront;
  readonly registry: Registry;
  /** Pushes to a repository of the front. */
  push(repository: string, ...options: readonly string[]): Promise<Finished>;
}

/** Runs a test with a front before the registry. */
async function fronted(
  answer: Answer,
  work: (fronted: Fronted) => Promise<void>,
  tls?: Parameters<typeof startFront>[2],
): Promise<void> {
  assert.ok(registry);
  const front = await startFront(answer, registry.port, tls);
  const push = (repository: string, ...options: readonly string[]) => {
    const to = `docker://${front.address}/${repository}:v1`;
    const secure = tls === undefined ? ['--tls-verify=false'] : [];
    return startJailbuild(['export', 'ls', '--to', to, ...secure, ...options], { env }).finished;
  };
  try {
    await work({ front, registry, push });
  } finally {
    await front.stop();
  }
}

/** Returns the digest of an image, as skopeo reads it past the front. */
function digestOf({ address }: Registry, repository: string): string {
  const image = `docker://${address}/${repository}:v1`;
  return JSON.parse(succeed('skopeo', ['inspect', '--tls-verify=false', image])).Digest;
}

function reply(
  response: http.ServerResponse,
  status: number,
  body: string | object = '',
  headers: http.OutgoingHttpHeaders = {},
): true {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  response.writeHead(status, headers).end(text);
  return true;
}

/** Checks for one line that ends in an error, without a stack, a secret or a created file. */
function checkFailure({ status, stdout, stderr }: Finished, message: RegExp): void {
  assert.equal(status, 1, stderr);
  assert.equal(stdout, '');
  const lines = stderr.trimEnd().split('\n');
  assert.equal(lines.length, 1, stderr);
  assert.match(lines[0] ?? '', message);
  for (const secret of [PASSWORD, Buffer.from(`${USER}:${PASSWORD}`).toString('base64')]) {
    assert.ok(!stderr.includes(secret), 'a secret was printed');
  }
}

test('an upload continues after the registry was killed in the middle', needsRegistry, async () => {
  let patches = 0;
  await fronted(
    async (request) => {
      if (request.method !== 'PATCH' || ++patches !== 2) return false;
      // The first chunk is stored; the second never arrives.
      await registry?.crash();
      request.socket.destroy();
      return true;
    },
    async ({ front, registry: behind, push }) => {
      const large = ['--include', `${at('large')}:/large`, '--compression', 'none', '--json'];
      const pushed = await push('resumed', ...large);
      assert.equal(pushed.status, 0, pushed.stderr);
      assert.equal(JSON.parse(pushed.stdout).digest, digestOf(behind, 'resumed'));
      // 41 MiB are three chunks; one was sent twice, within the same upload.
      const sent = front.asked.filter(
        ({ method, url }) => method === 'PATCH' && url.includes('uploads'),
      );
      const ranges = sent.map(({ headers }) => headers['content-range']).slice(0, 4);
      assert.deepEqual(ranges.slice(0, 3), [
        '0-16777215',
        '16777216-33554431',
        '16777216-33554431',
      ]);
      assert.match(ranges[3] ?? '', /^33554432-/);
    },
  );
});

test(
  'the progress of a push counts every byte once, even those that are sent twice',
  needsRegistry,
  async () => {
    let patches = 0;
    await fronted(
      (request) => {
        if (request.method !== 'PATCH' || ++patches !== 2) return false;
        request.socket.destroy();
        return true;
      },
      async ({ front }) => {
        const size = 40 << 20;
        const file = { type: 'file', path: '/large', source: at('large'), size } as const;
        const owned = { mode: '0644', uid: 0, gid: 0, mtime: '0.000000000', reasons: [] };
        const tree = { sourceRoot: '', entries: [{ ...file, ...owned }] };
        const seen: WorkProgress[] = [];
        const push = () =>
          exportTree(
            tree,
            { kind: 'docker', path: `${front.address}/progress:v1` },
            {
              compression: { kind: 'none' },
              registry: { tlsVerify: false },
              platform: { os: 'linux', architecture: 'amd64' },
              onWork: (progress) => progress.kind === 'push' && seen.push(progress),
            },
          );
        const { size: whole } = await push();
        const last = seen.at(-1);
        assert.ok(patches >= 4, `${patches} chunks`);
        // A layer of 40 MiB in parts of 256 KiB.
        assert.ok(seen.length > 150, `${seen.length} reports`);
        assert.ok(seen.every(({ bytes }, index) => bytes >= (seen[index - 1]?.bytes ?? 0)));
        assert.deepEqual([last?.files, last?.bytes], [1, last?.totalBytes]);
        assert.ok((last?.bytes ?? 0) > size && (last?.bytes ?? 0) <= whole);
        // Nothing is sent of what the registry has.
        seen.length = 0;
        await push();
        assert.deepEqual(
          seen.map(({ files, bytes }) => [files, bytes]),
          [[1, last?.totalBytes]],
        );
      },
    );
  },
);

test('an upload that the registry has forgotten starts again', needsRegistry, async () => {
  let patches = 0;
  await fronted(
    (request, response) => {
      const { method, url = '' } = request;
      if (method === 'PATCH' && ++patches === 2) {
        request.socket.destroy();
        return true;
      }
      return method === 'GET' && url.includes('uploads') ? reply(response, 404) : false;
    },
    async ({ registry: behind, push }) => {
      const large = ['--include', `${at('large')}:/large`, '--compression', 'none', '--json'];
      const pushed = await push('forgotten', ...large);
      assert.equal(pushed.status, 0, pushed.stderr);
      assert.equal(JSON.parse(pushed.stdout).digest, digestOf(behind, 'forgotten'));
      assert.ok(patches >= 5, `${patches} chunks`);
    },
  );
});

test('a request whose answer is lost is repeated', needsRegistry, async () => {
  let puts = 0;
  await fronted(
    async (request, response) => {
      const { method, url = '' } = request;
      if (method !== 'PUT' || !url.includes('uploads') || ++puts > 1) return false;
      const { port } = registry as Registry;
      await fetch(`http://127.0.0.1:${port}${url}`, {
        method,
        headers: { host: String(request.headers.host) },
      });
      response.destroy();
      return true;
    },
    async ({ registry: behind, push }) => {
      const pushed = await push('lost', '--json');
      assert.equal(pushed.status, 0, pushed.stderr);
      assert.equal(JSON.parse(pushed.stdout).digest, digestOf(behind, 'lost'));
    },
  );
});

test(
  'requests refused by an overloaded registry are repeated with growing delays',
  needsRegistry,
  async () => {
    const refusals = [429, 503, 500, 502];
    const times: number[] = [];
    await fronted(
      (request, response) => {
        if (request.method !== 'PUT' || !request.url?.includes('/manifests/')) return false;
        times.push(Date.now());
        const status = refusals.shift();
        // A page of a proxy, as sent with 5xx.
        return (
          status !== undefined &&
          reply(response, status, '<html>busy</html>', status === 429 ? { 'retry-after': '1' } : {})
        );
      },
      async ({ registry: behind, push }) => {
        const pushed = await push('retried', '--json');
        assert.equal(pushed.status, 0, pushed.stderr);
        assert.equal(JSON.parse(pushed.stdout).digest, digestOf(behind, 'retried'));
      },
    );
    const delays = times.slice(1).map((time, index) => time - (times[index] ?? 0));
    assert.equal(delays.length, 4);
    assert.ok((delays[0] ?? 0) >= 995, `${delays}: Retry-After`);
    [500, 1000, 2000].forEach((least, index) => {
      assert.ok((delays[index + 1] ?? 0) >= least - 5, `${delays}: growing`);
    });
  },
);

test('a chunk that is refused temporarily is sent again', needsRegistry, async () => {
  const refusals = [503, 429];
  await fronted(
    (request, response) => {
      if (request.method !== 'PATCH') return false;
      const status = refusals.shift();
      if (status === undefined) return false;
      request.resume();
      return reply(response, status);
    },
    async ({ registry: behind, push }) => {
      const pushed = await push('chunks', '--json');
      assert.equal(pushed.status, 0, pushed.stderr);
      assert.equal(JSON.parse(pushed.stdout).digest, digestOf(behind, 'chunks'));
    },
  );
});

test('an interrupted download continues where it ended', needsRegistry, async () => {
  let cuts = 0;
  await fronted(
    async (request, response) => {
      const { method, url = '', headers } = request;
      if (method !== 'GET' || !url.includes('/blobs/') || headers.range || cuts > 0) return false;
      const { port } = registry as Registry;
      const blob = Buffer.from(await (await fetch(`http://127.0.0.1:${port}${url}`)).arrayBuffer());
      if (blob.length < 100_000) return false;
      cuts++;
      response.writeHead(200, { 'content-length': blob.length });
      response.write(blob.subarray(0, 65_536), () => response.destroy());
      return true;
    },
    async ({ front, push }) => {
      assert.equal((await push('broken')).status, 0);
      const image = `docker://${front.address}/broken:v1`;
      const to = `tar:${at('broken.tar')}`;
      const read = await startJailbuild(
        ['export', '--from-image', image, '--to', to, '--tls-verify=false'],
        { env },
      ).finished;
      assert.equal(read.status, 0, read.stderr);
      assert.equal(cuts, 1);
      assert.ok(front.asked.some(({ headers }) => /^bytes=[1-9]\d*-$/.test(headers.range ?? '')));
    },
  );
});

/** Requires a user and a password (RFC 7617). */
const basic: Answer = ({ headers }, response) => {
  const wanted = `Basic ${Buffer.from(`${USER}:${PASSWORD}`).toString('base64')}`;
  if (headers.authorization === wanted) return false;
  return reply(response, 401, '', { 'www-authenticate': 'Basic realm="tests"' });
};

/** A file as `podman login` writes it. */
function writeAuth(file: string, host: string, password = PASSWORD): string {
  const auth = Buffer.from(`${USER}:${password}`).toString('base64');
  writeFileSync(file, JSON.stringify({ auths: { [host]: { auth } } }));
  return file;
}

test('basic authentication uses the stored password of a login', needsRegistry, async () => {
  await fronted(basic, async ({ front, registry: behind, push }) => {
    checkFailure(await push('basic'), /wants a user and a password \(401\): log in first/);
    const wrong = writeAuth(authFile, front.address, 'wrong');
    const refused = await push('basic', '--auth-file', wrong);
    checkFailure(refused, /refuses the credentials \(401\): log in again/);
    assert.doesNotMatch(refused.stderr, /wrong/);
    writeAuth(authFile, front.address);
    const pushed = await push('basic', '--auth-file', authFile, '--json');
    assert.equal(pushed.status, 0, pushed.stderr);
    assert.equal(JSON.parse(pushed.stdout).digest, digestOf(behind, 'basic'));
    const absent = await push('basic', '--auth-file', at('none.json'));
    checkFailure(absent, /--auth-file .*none\.json: no such file/i);
    writeFileSync(at('broken.json'), `{"auths":${PASSWORD}`);
    const broken = await push('basic', '--auth-file', at('broken.json'));
    assert.match(broken.stderr, /broken\.json: is not JSON/);
    assert.ok(!broken.stderr.includes(PASSWORD));
    // Written by skopeo itself, at the path that is searched.
    mkdirSync(at('run/containers'), { recursive: true });
    writeAuth(at('run/containers/auth.json'), `${front.address}/basic`);
    assert.equal((await push('basic')).status, 0);
    assert.match((await push('another')).stderr, /wants a user and a password/);
    writeFileSync(at('run/containers/auth.json'), '{}');
  });
});

test(
  'passwords come from a credential helper, which is asked over its standard input',
  needsRegistry,
  async () => {
    mkdirSync(at('bin'));
    const helper = at('bin/docker-credential-vault');
    const note = at('helper.txt');
    const script = (...lines: readonly string[]) => {
      writeFileSync(
        helper,
        ['#!/bin/sh', `read -r server; echo "$*:$server" >>'${note}'`, ...lines, ''].join('\n'),
      );
      chmodSync(helper, 0o755);
    };
    const withHelper = { ...env, PATH: `${at('bin')}:${env.PATH}` };
    await fronted(basic, async ({ front, registry: behind }) => {
      mkdirSync(at('docker'), { recursive: true });
      const configuration = at('docker/config.json');
      const push = (extra: NodeJS.ProcessEnv = withHelper) => {
        const to = `docker://${front.address}/helped:v1`;
        return startJailbuild(['export', 'ls', '--to', to, '--tls-verify=false'], { env: extra })
          .finished;
      };
      writeFileSync(configuration, JSON.stringify({ credHelpers: { [front.address]: 'vault' } }));
      checkFailure(await push(env), /docker-credential-vault: is not installed/);
      script(`echo '{"ServerURL":"x","Username":"${USER}","Secret":"${PASSWORD}"}'`);
      const pushed = await push();
      assert.equal(pushed.status, 0, pushed.stderr);
      assert.ok(digestOf(behind, 'helped'));
      assert.equal(readFileSync(note, 'utf8'), `get:${front.address}\n`);
      writeFileSync(configuration, JSON.stringify({ credsStore: 'vault' }));
      assert.equal((await push()).status, 0);
      script('echo "credentials not found in native keychain"; exit 1');
      checkFailure(await push(), /wants a user and a password/);
      script(`echo '${PASSWORD} is stale'; exit 3`);
      checkFailure(await push(), /docker-credential-vault: ended with 3/);
      script(`echo '${PASSWORD}'`);
      checkFailure(await push(), /docker-credential-vault: did not print JSON/);
      writeFileSync(configuration, '{}');
    });
  },
);

/** Starts a registry that accepts tokens, and the service that issues them. */
function withTokens(
  grants: (scopes: readonly string[], request: http.IncomingMessage, body: string) => number,
) {
  const tokens = new Map<string, readonly string[]>();
  const service: Answer = async (request, response) => {
    const url = new URL(request.url ?? '', 'http://service');
    let body = '';
    for await (const part of request) body += String(part);
    const form = new URLSearchParams(body);
    const scopes =
      body === '' ? url.searchParams.getAll('scope') : (form.get('scope') ?? '').split(' ');
    const status = grants(scopes, request, body);
    if (status !== 200) return reply(response, status, { errors: [{ message: 'no' }] });
    const token = `token-${tokens.size}-of-${'x'.repeat(40)}`;
    tokens.set(token, scopes);
    return reply(response, 200, body === '' ? { token } : { access_token: token });
  };
  const guard =
    (realm: () => string): Answer =>
    ({ headers, url = '', method = '' }, response) => {
      const repository = /^\/v2\/(.+?)\/(blobs|manifests)\//.exec(url)?.[1] ?? '';
      const scopes = tokens.get(headers.authorization?.replace('Bearer ', '') ?? '');
      const need = method === 'GET' || method === 'HEAD' ? 'pull' : 'push';
      const isGranted = scopes?.some((scope) => {
        const [, name, actions = ''] = scope.split(':');
        return name === repository && actions.split(',').includes(need);
      });
      if (isGranted) return false;
      const why = scopes === undefined ? '' : ',error="insufficient_scope"';
      const challenge = `Bearer realm="${realm()}",service="tests",scope="repository:${repository}:pull,push"${why}`;
      return reply(
        response,
        401,
        { errors: [{ code: 'UNAUTHORIZED' }] },
        { 'www-authenticate': challenge },
      );
    };
  return { service, guard };
}

test('tokens are requested from the service that the registry names', needsRegistry, async () => {
  let isKnown = true;
  const asked: string[] = [];
  const { service, guard } = withTokens((scopes, { headers, method }) => {
    asked.push(`${method} ${scopes}`);
    if (!isKnown) return 403;
    const wanted = `Basic ${Buffer.from(`${USER}:${PASSWORD}`).toString('base64')}`;
    return headers.authorization === wanted ? 200 : 401;
  });
  const tokens = await startFront(service);
  try {
    await fronted(
      guard(() => `http://${tokens.address}/token`),
      async ({ front, registry: behind, push }) => {
        checkFailure(await push('tokens'), /gives no anonymous token \(401\): log in/);
        writeAuth(authFile, front.address);
        const pushed = await push('tokens', '--auth-file', authFile, '--json');
        assert.equal(pushed.status, 0, pushed.stderr);
        assert.equal(JSON.parse(pushed.stdout).digest, digestOf(behind, 'tokens'));
        assert.equal(asked.at(-1), 'GET repository:tokens:pull,push');
        isKnown = false;
        checkFailure(
          await push('tokens', '--auth-file', authFile),
          /refuses the credentials \(403\)/,
        );
      },
    );
  } finally {
    await tokens.stop();
  }
});

test(
  'an identity token is exchanged for a token, not sent to the registry',
  needsRegistry,
  async () => {
    const identity = 'identity-0815';
    const { service, guard } = withTokens((_, __, body) => {
      const form = new URLSearchParams(body);
      const isRight =
        form.get('grant_type') === 'refresh_token' && form.get('refresh_token') === identity;
      return isRight ? 200 : 400;
    });
    const tokens = await startFront(service);
    try {
      await fronted(
        guard(() => `http://${tokens.address}/token`),
        async ({ front, push }) => {
          const auths = { [front.address]: { auth: '', identitytoken: identity } };
          writeFileSync(authFile, JSON.stringify({ auths }));
          const pushed = await push('identity', '--auth-file', authFile);
          assert.equal(pushed.status, 0, pushed.stderr);
          assert.ok(front.asked.every(({ headers }) => !headers.authorization?.includes(identity)));
        },
      );
    } finally {
      await tokens.stop();
    }
  },
);

test('missing permissions are distinguished from missing credentials', needsRegistry, async () => {
  const { service, guard } = withTokens(() => 200);
  const tokens = await startFront(async (request, response) => {
    // Issues a token for less than was requested.
    request.url = request.url?.replace('pull%2Cpush', 'pull') ?? '';
    return service(request, response);
  });
  try {
    await fronted(
      guard(() => `http://${tokens.address}/token`),
      async ({ push }) => {
        checkFailure(
          await push('rights'),
          /does not allow pull,push with these credentials \(401\)/,
        );
      },
    );
    const denied = { errors: [{ code: 'DENIED', message: `no quota for ${PASSWORD}` }] };
    await fronted(
      (request, response) =>
        request.method === 'POST' ? reply(response, 403, denied) : basic(request, response),
      async ({ front, push }) => {
        writeAuth(authFile, front.address);
        const refused = await push('denied', '--auth-file', authFile);
        checkFailure(
          refused,
          /does not allow this with these credentials \(403\): no quota for \*\*\*/,
        );
      },
    );
  } finally {
    await tokens.stop();
  }
});

test('a server that answers with HTML pages is not taken for a registry', async () => {
  const page = '<!DOCTYPE html><title>Welcome</title>';
  const types = { 'content-type': 'text/html; charset=utf-8' };
  for (const status of [200, 404, 405]) {
    const front = await startFront((_, response) => reply(response, status, page, types));
    try {
      const image = `docker://${front.address}/pages:v1`;
      const to = ['export', 'ls', '--to', image, '--tls-verify=false'];
      const pushed = await startJailbuild(to, { env }).finished;
      checkFailure(pushed, /answers \d+ with HTML: it is not a registry, or behind a proxy/);
      const from = ['export', '--from-image', image, '--to', `tar:${at('page.tar')}`];
      const read = await startJailbuild([...from, '--tls-verify=false'], { env }).finished;
      checkFailure(read, /answers \d+ with HTML: it is not a registry, or behind a proxy/);
    } finally {
      await front.stop();
    }
  }
});

test('invalid answers cause one line of error', async () => {
  const answers: [RegExp, Answer][] = [
    [
      /sent no location to continue at/,
      (request, response) => reply(response, request.method === 'POST' ? 202 : 404),
    ],
    [
      /a location that is not a URL/,
      (request, response) =>
        reply(response, request.method === 'POST' ? 202 : 404, '', { location: 'http://[' }),
    ],
    [
      /names no token service/,
      (_, response) => reply(response, 401, '', { 'www-authenticate': 'Bearer realm="::"' }),
    ],
    [
      /kind of authentication that is not supported/,
      (_, response) => reply(response, 401, '', { 'www-authenticate': 'Negotiate' }),
    ],
    [
      /redirects too often/,
      (request, response) => reply(response, 307, '', { location: request.url }),
    ],
    [
      /answers POST with 418: tea/,
      (request, response) =>
        request.method === 'POST'
          ? reply(response, 418, { errors: [{ message: 'tea' }] })
          : reply(response, 404),
    ],
  ];
  for (const [message, answer] of answers) {
    const front = await startFront(answer);
    try {
      const to = `docker://${front.address}/senseless`;
      const push = ['export', 'ls', '--to', to, '--tls-verify=false'];
      checkFailure(await startJailbuild(push, { env }).finished, message);
    } finally {
      await front.stop();
    }
  }
});

test('the password is sent to no server but the registry', needsRegistry, async () => {
  const stranger = await startFront((_, response) =>
    reply(response, 202, '', { location: '/elsewhere' }),
  );
  try {
    await fronted(
      (request, response) => {
        const { method, url = '' } = request;
        if (basic(request, response) === true) return true;
        if (method !== 'POST' || !url.includes('uploads')) return false;
        return reply(response, 202, '', { location: `http://${stranger.address}/upload` });
      },
      async ({ front, push }) => {
        writeAuth(authFile, front.address);
        assert.equal((await push('strange', '--auth-file', authFile)).status, 1);
        assert.ok(stranger.asked.some(({ method }) => method === 'PATCH'));
        for (const { headers } of stranger.asked) assert.equal(headers.authorization, undefined);
      },
    );
  } finally {
    await stranger.stop();
  }
});

test('no secret is in the arguments of a process', needsRegistry, async () => {
  let release = () => {};
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  await fronted(
    async (request, response) => {
      if (await basic(request, response)) return true;
      if (request.method === 'PUT') await held;
      return false;
    },
    async ({ front }) => {
      writeAuth(authFile, front.address);
      const to = `docker://${front.address}/processes:v1`;
      const running = startJailbuild(
        ['export', 'ls', '--to', to, '--tls-verify=false', '--auth-file', authFile],
        { env },
      );
      while (!front.asked.some(({ method }) => method === 'PUT')) await pause(20);
      const seen = succeed('ps', ['-ww', '-e', '-o', 'args']);
      release();
      assert.equal((await running.finished).status, 0);
      assert.match(seen, new RegExp(`export ls --to ${to}`));
      assert.ok(!seen.includes(PASSWORD));
      assert.ok(!seen.includes(Buffer.from(`${USER}:${PASSWORD}`).toString('base64')));
    },
  );
});

test(
  'a certificate of a private authority is trusted if it is named',
  needs('docker-registry', 'skopeo', 'openssl'),
  async () => {
    const openssl = (...args: readonly string[]) => succeed('openssl', args);
    const [caKey, ca, key, request, certificate] = [
      'ca.key',
      'ca.pem',
      'key.pem',
      'csr.pem',
      'cert.pem',
    ].map((name) => at(name)) as [string, string, string, string, string];
    const ec = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
    openssl(
      'req',
      '-x509',
      ...ec,
      '-keyout',
      caKey,
      '-out',
      ca,
      '-subj',
      '/CN=Authority of the tests',
      '-days',
      '2',
    );
    openssl('req', ...ec, '-keyout', key, '-out', request, '-subj', '/CN=registry');
    writeFileSync(at('san'), 'subjectAltName=IP:127.0.0.1');
    openssl(
      'x509',
      '-req',
      '-in',
      request,
      '-CA',
      ca,
      '-CAkey',
      caKey,
      '-CAcreateserial',
      '-days',
      '2',
      '-extfile',
      at('san'),
      '-out',
      certificate,
    );
    const tls = { cert: readFileSync(certificate, 'utf8'), key: readFileSync(key, 'utf8') };
    await fronted(
      () => false,
      async ({ registry: behind, push }) => {
        const untrusted =
          /has a certificate that is not trusted \([A-Z_]+\): give its authority with --registry-ca/;
        checkFailure(await push('secure'), untrusted);
        const pushed = await push('secure', '--registry-ca', ca, '--json');
        assert.equal(pushed.status, 0, pushed.stderr);
        assert.equal(JSON.parse(pushed.stdout).digest, digestOf(behind, 'secure'));
        assert.equal((await push('secure', '--tls-verify=false')).status, 0);
        checkFailure(
          await push('secure', '--registry-ca', at('nothing')),
          /--registry-ca .*nothing: /,
        );
        const noCertificate = await push('secure', '--registry-ca', key);
        assert.match(noCertificate.stderr, /key\.pem: has no certificate in PEM form/);
        // Authorities of the system are trusted: here, through the variable of OpenSSL.
        env.SSL_CERT_FILE = ca;
        try {
          const trusted = await push('secure');
          assert.equal(trusted.status, 0, trusted.stderr);
        } finally {
          delete env.SSL_CERT_FILE;
        }
      },
      tls,
    );
  },
);

/** Returns upload requests: what was mounted, and what was sent. */
function uploads({ asked }: HttpFront): { readonly mounts: string[]; readonly chunks: number } {
  const mounts = asked.flatMap(({ url }) => /[?&]from=([^&]+)/.exec(url)?.[1] ?? []);
  return { mounts, chunks: asked.filter(({ method }) => method === 'PATCH').length };
}

test(
  'a blob of another repository is mounted, one of another registry is sent',
  needsRegistry,
  async () => {
    env.XDG_CACHE_HOME = at('mounts');
    const other = await startRegistry(at('other-registry'));
    try {
      await fronted(
        () => false,
        async ({ push }) => assert.equal((await push('team/first')).status, 0),
      );
      // Another front counts as another registry.
      await fronted(
        () => false,
        async ({ front, registry: behind, push }) => {
          assert.equal((await push('team/second')).status, 0);
          assert.deepEqual(uploads(front).mounts, []);
          const before = uploads(front).chunks;
          const pushed = await push('team/third', '--json');
          assert.equal(JSON.parse(pushed.stdout).digest, digestOf(behind, 'team/third'));
          assert.deepEqual(uploads(front).mounts, ['team%2Fsecond', 'team%2Fsecond']);
          assert.equal(uploads(front).chunks, before);
          const to = `docker://${other.address}/team/third:v1`;
          const elsewhere = ['export', 'ls', '--to', to, '--tls-verify=false', '--json'];
          const sent = await startJailbuild(elsewhere, { env }).finished;
          assert.equal(JSON.parse(sent.stdout).digest, digestOf(other, 'team/third'));
        },
      );
    } finally {
      await other.stop();
      env.XDG_CACHE_HOME = at('cache');
    }
  },
);

test('a refused mount becomes an upload', needsRegistry, async () => {
  env.XDG_CACHE_HOME = at('refused-mounts');
  try {
    for (const status of [401, 403, 404, 405]) {
      await fronted(
        (request, response) =>
          (request.url ?? '').includes('mount=') ? reply(response, status) : false,
        async ({ front, registry: behind, push }) => {
          const [first, second] = [`from-${status}`, `to-${status}`];
          assert.equal((await push(first, '--cmd', first)).status, 0);
          const pushed = await push(second, '--cmd', first, '--json');
          assert.equal(pushed.status, 0, pushed.stderr);
          assert.ok(uploads(front).mounts.length > 0 || status !== 401);
          assert.equal(JSON.parse(pushed.stdout).digest, digestOf(behind, second));
        },
      );
    }
  } finally {
    env.XDG_CACHE_HOME = at('cache');
  }
});
