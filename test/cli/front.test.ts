import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hasFront, meetFront } from '../../src/cli/front.js';
import { FrontConnection } from '../../src/jail/engine/front-connection.js';

test('variables of the front are removed from the environment', () => {
  const plain = { PATH: '/bin', GLIBC_TUNABLES: 'mine' };
  const other = { ...plain };
  meetFront(other);
  assert.deepEqual([other, hasFront()], [plain, false]);

  const tuned: NodeJS.ProcessEnv = {
    PATH: '/bin',
    GLIBC_TUNABLES: 'glibc.malloc.arena_max=1',
    JAILBUILD_FRONT: ';tuned',
    JAILBUILD_NODE_EXTRA_CA_CERTS: '/etc/ca.pem',
  };
  meetFront(tuned);
  assert.deepEqual(tuned, { PATH: '/bin', NODE_EXTRA_CA_CERTS: '/etc/ca.pem' });
  assert.deepEqual([hasFront(), FrontConnection.isFree], [true, false]);

  const untuned: NodeJS.ProcessEnv = { ...plain, JAILBUILD_FRONT: ';' };
  meetFront(untuned);
  assert.deepEqual(untuned, plain);
});

test('a front that is not the parent process is not used as the writer', () => {
  meetFront({ JAILBUILD_FRONT: `5,6,${process.ppid + 1};` });
  assert.equal(FrontConnection.isFree, false);
  meetFront({ JAILBUILD_FRONT: 'nonsense' });
  assert.equal(FrontConnection.isFree, false);
  meetFront({ JAILBUILD_FRONT: `5,6,${process.ppid};` });
  assert.equal(FrontConnection.isFree, true);
});
