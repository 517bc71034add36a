import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { before, describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { parseAction } from '@actions/workflow-parser/actions/action-parser';
import { NoOperationTraceWriter } from '@actions/workflow-parser/templates/trace-writer';
import { parse } from 'yaml';
import { sha256 } from '../export/support.js';
import { exec, PROJECT, succeed } from '../support/cli.js';
import { CRUN, makeRunnable, plainCgroups, trustingPolicy } from '../support/containers.js';
import { needs, needsRoot } from '../support/need.js';
import { startRegistry } from '../support/registry.js';
import { freePort, startServer } from '../support/server.js';
import { tempDir } from '../support/temp-dir.js';
import { makeDistribution } from './distribution.js';
import { startDocker } from './docker.js';

const TEMPLATES = path.join(PROJECT, 'templates/examples/ci');
const PAGE = '<p>made in a pipeline</p>\n';

const template = (name: string): string => readFileSync(path.join(TEMPLATES, name), 'utf8');

/** Creates a project with the templates, a site, and the package of jailbuild. */
function makeProject(directory: string, port = 8080): string {
  mkdirSync(path.join(directory, 'site'), { recursive: true });
  writeFileSync(path.join(directory, 'site/index.html'), PAGE);
  for (const name of readdirSync(TEMPLATES)) {
    copyFileSync(path.join(TEMPLATES, name), path.join(directory, name));
  }
  const nginx = template('nginx.conf').replace('listen 8080;', `listen 127.0.0.1:${port};`);
  writeFileSync(path.join(directory, 'nginx.conf'), nginx);
  const pack = [
    'pack',
    '--silent',
    '--ignore-scripts',
    '--no-update-notifier',
    '--pack-destination',
    directory,
  ];
  return path.join(directory, succeed('npm', pack, { cwd: PROJECT }).trim());
}

/** Runs the image of an OCI layout as a container on the host's network, and returns its page. */
async function serves(layout: string, tag: string, port: number): Promise<void> {
  const bundle = path.join(path.dirname(layout), `bundle-of-${tag}`);
  succeed('umoci', ['unpack', '--image', `${layout}:${tag}`, bundle]);
  makeRunnable(bundle, 'network');
  const state = path.join(path.dirname(layout), `crun-of-${tag}`);
  const run = `exec ${CRUN} --root ${state} run -b ${bundle} ${tag}-${process.pid}`;
  const server = await startServer('unshare', [...plainCgroups(run)], port);
  try {
    const response = await fetch(`http://127.0.0.1:${port}/`);
    assert.equal(await response.text(), PAGE);
    assert.doesNotMatch(server.output(), /\[(emerg|alert|crit|error)\]/);
  } finally {
    await server.stop();
  }
}

/** Returns the page of a server that may still be starting. */
async function pageAt(port: number): Promise<string> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await (await fetch(`http://127.0.0.1:${port}/`)).text();
    } catch (error) {
      if (attempt === 1200) throw error;
      await pause(100);
    }
  }
}

describe(
  'in containers of a distribution',
  needsRoot('buildah', 'umoci', 'crun', 'nginx', 'npm', 'dpkg-deb', 'apt-get', 'unshare'),
  () => {
    const directory = tempDir();
    const at = (name: string) => path.join(directory, name);
    const buildah = (...args: readonly string[]) =>
      succeed('buildah', [
        ...['--root', at('store'), '--runroot', at('run'), '--storage-driver', 'vfs', ...args],
      ]);
    let port: number;
    let project: string;

    before(async () => {
      port = await freePort();
      project = at('project');
      makeProject(project, port);
      buildah('pull', '--quiet', `docker-archive:${makeDistribution(directory)}`);
    });

    test('the Dockerfile makes an image that serves its site', async () => {
      buildah(
        ...['build', '--isolation', 'chroot', '--pull-never', '--quiet', '--tag', 'web'],
        ...['--build-arg', 'BASE=localhost/distribution:latest', project],
      );
      buildah('push', '--quiet', 'web', `oci:${at('docker')}:web`);
      await serves(at('docker'), 'web', port);
      const rootfs = at('bundle-of-web/rootfs');
      assert.deepEqual(readdirSync(`${rootfs}/usr/sbin`), ['nginx']);
      assert.deepEqual(
        readdirSync(rootfs).filter((name) => ['src', 'opt', '.jailbuild'].includes(name)),
        [],
      );
    });

    test(
      'dockerd with BuildKit builds the same image, and runs exported ones',
      needs('dockerd', '/usr/bin/docker'),
      async () => {
        const docker = await startDocker(at('dockerd'));
        try {
          docker.run('load', '--quiet', '--input', at('distribution.tar'));
          docker.run(
            ...['build', '--quiet', '--network', 'host', '--tag', 'web'],
            ...['--build-arg', 'BASE=distribution:latest', project],
          );
          const archive = at('exported.tar');
          const [config, page] = ['nginx.conf', 'site'].map((name) => path.join(project, name));
          succeed(process.execPath, [
            ...['dist/jailbuild.cjs', 'export', '--profile', 'nginx', '--quiet'],
            ...['--include', `${config}:/etc/nginx/web.conf`, '--include', `${page}:/var/www/html`],
            ...['--to', `docker-archive:${archive}:exported`, '--user', 'www-data', '--entrypoint'],
            '["/usr/sbin/nginx", "-e", "stderr", "-g", "daemon off;", "-c", "/etc/nginx/web.conf"]',
          ]);
          docker.run('load', '--quiet', '--input', archive);
          for (const image of ['web', 'exported']) {
            const run = [
              'run',
              '--detach',
              '--network',
              'host',
              '--cgroup-parent',
              'jailbuild-test',
            ];
            const container = docker.run(...run, image).trim();
            try {
              assert.equal(await pageAt(port), PAGE, image);
            } catch (error) {
              throw new Error(`${image}: ${docker.run('logs', container)}`, { cause: error });
            } finally {
              docker.run('rm', '--force', container);
            }
          }
        } finally {
          await docker.stop();
        }
      },
    );

    test(
      'the jobs for GitLab make an image with its bill of materials, and push it',
      needs('docker-registry', 'skopeo', 'openssl'),
      async () => {
        const { 'jail-image': make, 'push-image': push } = parse(template('gitlab-ci.yml'));
        const container = buildah('from', '--pull-never', 'localhost/distribution:latest').trim();
        buildah(
          ...['run', '--isolation', 'chroot', '--volume', `${project}:/builds/web`],
          ...[
            '--workingdir',
            '/builds/web',
            '--env',
            'CI_COMMIT_TIMESTAMP=2026-03-04T05:06:07+01:00',
          ],
          ...[container, '--', 'bash', '-eo', 'pipefail', '-c'],
          [...make.before_script, ...make.script].join('\n'),
        );
        const inProject = (name: string) => readFileSync(path.join(project, name), 'utf8');
        const report = JSON.parse(inProject('image.json'));
        assert.equal(inProject('image.env'), `IMAGE_DIGEST=${report.digest}\n`);
        for (const artifact of make.artifacts.paths) {
          assert.ok(readdirSync(project).includes(artifact), artifact);
        }
        const image = `oci:${project}/image:latest`;
        const config = JSON.parse(succeed('skopeo', ['inspect', '--config', image]));
        assert.equal(config.created, '2026-03-04T04:06:07Z');
        const names = JSON.parse(inProject('gl-sbom-image.cdx.json')).components.map(
          ({ name }: { readonly name: string }) => name,
        );
        assert.ok(names.includes('nginx-light'), names);
        await serves(path.join(project, 'image'), 'latest', port);

        const tls = { certificate: at('registry.crt'), key: at('registry.key') };
        succeed('openssl', [
          ...[
            'req',
            '-x509',
            '-newkey',
            'ec',
            '-pkeyopt',
            'ec_paramgen_curve:prime256v1',
            '-nodes',
          ],
          ...['-keyout', tls.key, '-out', tls.certificate, '-subj', '/CN=registry'],
          ...['-addext', 'subjectAltName=IP:127.0.0.1'],
        ]);
        mkdirSync(at('.config/containers'), { recursive: true });
        trustingPolicy(at('.config/containers'));
        const registry = await startRegistry(at('registry'), tls);
        try {
          // A runner expands variables within values of others.
          const variables = Object.entries(push.variables).map(
            ([key, value]) => `${key}="${value}"`,
          );
          const run = (digest: string) =>
            exec('bash', ['-eo', 'pipefail', '-c', [...variables, ...push.script].join('\n')], {
              cwd: project,
              env: {
                ...{ PATH: process.env.PATH, HOME: directory, SSL_CERT_FILE: tls.certificate },
                ...{ REGISTRY_AUTH_FILE: at('auth.json'), XDG_RUNTIME_DIR: directory },
                ...{ CI_REGISTRY: registry.address, CI_REGISTRY_USER: 'ci' },
                ...{ CI_REGISTRY_PASSWORD: 'word', CI_COMMIT_REF_SLUG: 'main' },
                ...{ CI_REGISTRY_IMAGE: `${registry.address}/group/web`, IMAGE_DIGEST: digest },
              },
            });
          const pushed = run(report.digest);
          assert.equal(pushed.status, 0, pushed.stderr);
          assert.equal(run('sha256:0').status, 1);
        } finally {
          await registry.stop();
        }
      },
    );
  },
);

interface Step {
  readonly id?: string;
  readonly run: string;
  readonly env: Readonly<Record<string, string>>;
  readonly 'working-directory'?: string;
}

interface Action {
  readonly inputs: Readonly<Record<string, { readonly default?: string }>>;
  readonly outputs: Readonly<Record<string, { readonly value: string }>>;
  readonly runs: { readonly steps: readonly Step[] };
}

describe('the GitHub Action', needs('npm', 'bash', 'nginx', 'tar'), () => {
  const directory = tempDir();
  const project = path.join(directory, 'project');
  const action: Action = parse(template('action.yml'));
  let packaged: string;

  before(() => {
    packaged = path.relative(directory, makeProject(project));
  });

  /** Runs the steps as a runner does: expressions expanded, each script in a file for bash. */
  function run(given: Readonly<Record<string, string>>) {
    const inputs = Object.fromEntries(
      Object.entries(action.inputs).map(([name, input]) => [name, given[name] ?? input.default]),
    );
    const temp = path.join(directory, `temp-${Math.random()}`);
    mkdirSync(temp);
    const outputs: Record<string, string> = {};
    const filled = (text: string): string =>
      text.replace(/\$\{\{ (\S+) \}\}/g, (_, expression: string) => {
        const [, input] = /^inputs\.(.+)$/.exec(expression) ?? [];
        const value = input === undefined ? outputs[expression] : inputs[input];
        assert.ok(value !== undefined, expression);
        return value;
      });
    let log = '';
    for (const [index, step] of action.runs.steps.entries()) {
      const script = path.join(temp, `${index}.sh`);
      const file = path.join(temp, `${index}.output`);
      writeFileSync(script, filled(step.run));
      writeFileSync(file, '');
      const env = Object.entries(step.env).map(([name, value]) => [name, filled(value)]);
      const { status, stdout } = exec(
        'bash',
        ['--noprofile', '--norc', '-eo', 'pipefail', script],
        {
          cwd: path.resolve(directory, filled(step['working-directory'] ?? '.')),
          env: {
            ...process.env,
            ...Object.fromEntries(env),
            RUNNER_TEMP: temp,
            GITHUB_OUTPUT: file,
          },
        },
      );
      log += stdout;
      if (status !== 0) return { status, log, outputs: {} };
      for (const line of readFileSync(file, 'utf8').trimEnd().split('\n')) {
        const cut = line.indexOf('=');
        outputs[`steps.${step.id}.outputs.${line.slice(0, cut)}`] = line.slice(cut + 1);
      }
    }
    const told = Object.entries(action.outputs).map(([name, { value }]) => [name, filled(value)]);
    return { status: 0, log, outputs: Object.fromEntries(told) };
  }

  test("is accepted by GitHub's own parser", () => {
    const errors = (content: string) =>
      parseAction({ name: 'action.yml', content }, new NoOperationTraceWriter())
        .context.errors.getErrors()
        .map(({ message }) => message);
    assert.deepEqual(errors(template('action.yml')), []);
    assert.notDeepEqual(errors(template('action.yml').replace('shell: bash', 'shel: bash')), []);
  });

  test('exports what jail.yaml describes, and reports it', () => {
    const { status, outputs, log } = run({ package: packaged, 'working-directory': 'project' });
    assert.equal(status, 0, log);
    const index = JSON.parse(readFileSync(path.join(project, 'image/index.json'), 'utf8'));
    const report = JSON.parse(outputs.report ?? '');
    assert.equal(outputs.digest, index.manifests[0].digest);
    assert.equal(outputs.size, String(report.size));
    assert.equal(outputs.path, path.join(project, 'image'));
    assert.equal(report.digest, outputs.digest);
    assert.ok(report.image.layers.length > 3);
  });

  test('accepts programs and options, one per line', () => {
    const words = ['bash', 'ls', '--to', 'tar:two words.tar.gz'];
    const { status, outputs, log } = run({ package: packaged, arguments: `${words.join('\n')}\n` });
    assert.equal(status, 0, log);
    assert.equal(outputs.path, 'two words.tar.gz');
    assert.equal(outputs.digest, `sha256:${sha256(path.join(directory, 'two words.tar.gz'))}`);
  });

  test('fails with an annotation that gives the reason', () => {
    const words = ['no-such%program', '--to', 'tar:x.tar'];
    const { status, log } = run({ package: packaged, arguments: words.join('\n') });
    assert.equal(status, 1);
    assert.match(log, /^::error title=PROGRAM_NOT_FOUND::no-such%25program: program not found/m);
  });
});
