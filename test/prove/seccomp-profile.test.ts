import assert from 'node:assert/strict';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { before, describe, test } from 'node:test';
import { exec, jailbuild } from '../support/cli.js';
import { makeRunnable, plainCgroups } from '../support/containers.js';
import { needsRoot } from '../support/need.js';
import { tempDir } from '../support/temp-dir.js';

describe(
  'a seccomp profile of a trace lets its program run and denies other calls',
  needsRoot(),
  () => {
    const directory = tempDir();
    const inside = (name: string): string => path.join(directory, name);
    const [jail, profile] = [inside('jail'), inside('profile.json')];
    const denied = /not permitted/;

    before(() => {
      const words = ['-q', '-o', inside('t'), '--seccomp-profile', profile];
      const traced = jailbuild(['trace', ...words, '--', '/bin/cat', '/etc/hostname']);
      assert.equal(traced.status, 0, traced.stderr);
      const [{ names }] = JSON.parse(readFileSync(profile, 'utf8')).syscalls;
      assert.ok(names.includes('execve') && !names.includes('mkdir') && !names.includes('mkdirat'));
      const built = jailbuild([jail, '/bin/cat', '/bin/mkdir', '--trace', inside('t'), '-q']);
      assert.equal(built.status, 0, built.stderr);
    });

    for (const runtime of ['crun', 'runc']) {
      test(`under ${runtime}`, needsRoot(runtime), () => {
        const run = (...command: string[]) => {
          const bundle = inside('bundle');
          const made = jailbuild(['run', jail, '--oci-bundle', bundle, '--', ...command]);
          assert.equal(made.status, 0, made.stderr);
          makeRunnable(bundle);
          const file = path.join(bundle, 'config.json');
          const config = JSON.parse(readFileSync(file, 'utf8'));
          config.linux.seccomp = JSON.parse(readFileSync(profile, 'utf8'));
          writeFileSync(file, JSON.stringify(config));
          const options = runtime === 'crun' ? '--cgroup-manager=disabled' : '';
          const words = `${runtime} --root ${inside(runtime)} ${options} run --bundle ${bundle} profile-${process.pid}`;
          const result = exec('unshare', [...plainCgroups(words)]);
          rmSync(bundle, { recursive: true });
          return result;
        };
        const allowed = run('/bin/cat', '/proc/self/status');
        assert.equal(allowed.status, 0, allowed.stderr);
        assert.match(allowed.stdout, /^Seccomp:\t2$/m);
        const refused = run('/bin/mkdir', '/dev/shm/new');
        assert.notEqual(refused.status, 0);
        assert.match(refused.stderr, denied);
      });
    }

    test('under podman run --security-opt', needsRoot('podman', 'crun'), () => {
      const [archive, image] = [inside('image.tar'), 'localhost/jailbuild/profile:v1'];
      const to = `docker-archive:${archive}:jailbuild/profile:v1`;
      const made = jailbuild(['export', 'cat', 'mkdir', '--to', to]);
      assert.equal(made.status, 0, made.stderr);
      const store = `--root ${inside('store')} --runroot ${inside('run')}`;
      const podman = (words: string) => {
        const how = '--storage-driver vfs --cgroup-manager cgroupfs --runtime crun';
        return exec('unshare', [...plainCgroups(`podman ${store} ${how} ${words}`)]);
      };
      // The limits and groups that a test machine permits.
      const how = '--cgroups disabled --net none --ulimit nofile=256:256 --ulimit nproc=256:256';
      const run = (command: string, options = '') =>
        podman(`run --rm ${how} ${options} ${image} ${command}`);
      assert.equal(podman(`load -q -i ${archive}`).status, 0);
      const confined = `--security-opt seccomp=${profile}`;
      const allowed = run('cat /proc/self/status', confined);
      assert.match(allowed.stdout, /^Seccomp:\t2$/m, allowed.stderr);
      const refused = run('mkdir /new', confined);
      assert.notEqual(refused.status, 0);
      assert.match(refused.stderr, denied);
      const free = run('mkdir /new');
      assert.equal(free.status, 0, free.stderr);
      // It leaves mounts behind when the container is gone.
      exec('sh', ['-c', `umount -l ${inside('store')}/vfs-containers/*/userdata/shm`]);
    });
  },
);
