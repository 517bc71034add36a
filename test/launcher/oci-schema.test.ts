import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { checkConfig } from '../../src/launcher/oci/arguments.js';
import { parseConfig } from '../../src/launcher/oci/read-config.js';
import { examplesOf, officialSchema } from './runtime-spec.js';

type Json = string | number | boolean | null | readonly Json[] | { readonly [name: string]: Json };

/** Returns why the runtime refuses a config.json, or undefined if it accepts it. */
function refusal(text: string): string | undefined {
  try {
    checkConfig(parseConfig(text, 'config.json'));
    return undefined;
  } catch (error) {
    assert.ok(error instanceof Error && 'code' in error, `${error}`);
    return error.message;
  }
}

describe('config.json compared with the schema of the specification', () => {
  const validate = officialSchema('config-schema.json');

  test('invalid examples are refused', () => {
    const reasons = new Map<string, RegExp>([
      ['invalid-json', /JSON/],
      ['freebsd-vnet-disable', /freebsd is not supported/],
      ['linux-hugepage', /linux\.resources\.hugepageLimits is not supported/],
      ['linux-netdevice', /linux\.netDevices\.eth0\.name must be text/],
      ['linux-rdma', /linux\.resources\.rdma is not supported/],
    ]);
    const examples = examplesOf('bad');
    assert.deepEqual([...examples.keys()].sort(), [...reasons.keys()].sort());
    for (const [name, text] of examples) {
      if (name !== 'invalid-json') assert.equal(validate(JSON.parse(text)), false, name);
      assert.match(refusal(text) ?? '', reasons.get(name) ?? /^$/, name);
    }
  });

  test('valid examples are accepted, or refused by the name of an unsupported member', () => {
    const reasons = new Map<string, string>([
      ['freebsd-example', 'freebsd is not supported by this runtime'],
      ['freebsd-minimal', 'a container without process is not supported by this runtime'],
      ['linux-netdevice', 'linux.netDevices is not supported by this runtime'],
      ['linux-rdma', 'linux.resources.rdma is not supported by this runtime'],
      ['minimal', 'a container without process is not supported by this runtime'],
      ['minimal-for-start', 'a container without mount namespace is not supported by this runtime'],
      ['spec-example', 'ociVersion 0.5.0-dev is not supported by this runtime'],
      ['zos-example', 'ociVersion 0.5.0-dev is not supported by this runtime'],
      ['zos-minimal', 'a container without process is not supported by this runtime'],
    ]);
    const examples = examplesOf('good');
    assert.deepEqual([...examples.keys()].sort(), [...reasons.keys()].sort());
    for (const [name, text] of examples) {
      assert.ok(validate(JSON.parse(text)), name);
      assert.equal(refusal(text), `config.json: ${reasons.get(name)}`);
    }
    // With the namespace that every container of this runtime needs.
    const minimal = JSON.parse(examples.get('minimal-for-start') ?? '');
    const linux = { namespaces: [{ type: 'mount' }] };
    assert.equal(refusal(JSON.stringify({ ...minimal, linux })), undefined);
  });

  test('a value of another type anywhere in the example is refused', () => {
    const example = supported(JSON.parse(examplesOf('good').get('spec-example') ?? ''));
    assert.equal(refusal(JSON.stringify(example)), undefined);
    const others: readonly Json[] = ['other', -7.5, true, ['other'], { other: 'other' }];
    const accepted: string[] = [];
    let count = 0;
    for (const place of placesOf(example)) {
      for (const other of others) {
        const wrong = JSON.stringify(replaced(example, place, other));
        // Mistakes are detected when the filter is compiled.
        if (place.includes('seccomp') && typeof other === 'string') continue;
        if (validate(JSON.parse(wrong))) continue;
        if (refusal(wrong) === undefined)
          accepted.push(`${place.join('.')} ${JSON.stringify(other)}`);
        else count++;
      }
    }
    assert.deepEqual(accepted, []);
    assert.ok(count > 500, `${count}`);
  });
});

/** Returns the example without members that this runtime does not support. */
function supported(example: {
  readonly hooks: object;
  readonly linux: { readonly resources: { readonly memory: object; readonly cpu: object } };
}): Json {
  const { linux, hooks } = example;
  return JSON.parse(
    JSON.stringify({
      ...example,
      ociVersion: '1.1.0',
      hooks: { ...hooks, createContainer: undefined, startContainer: undefined },
      linux: {
        ...linux,
        mountLabel: undefined,
        resources: {
          ...linux.resources,
          ...{ network: undefined, hugepageLimits: undefined, blockIO: undefined },
          memory: { ...linux.resources.memory, kernel: undefined, kernelTCP: undefined },
          cpu: {
            ...linux.resources.cpu,
            ...{ burst: undefined, realtimeRuntime: undefined, realtimePeriod: undefined },
          },
        },
      },
    }),
  );
}

type Place = readonly (string | number)[];

function placesOf(value: Json): readonly Place[] {
  if (typeof value !== 'object' || value === null) return [];
  const members: readonly (readonly [string | number, Json])[] = Array.isArray(value)
    ? [...value.entries()]
    : Object.entries(value);
  return members.flatMap(([name, member]) => [
    [name],
    ...placesOf(member).map((place) => [name, ...place]),
  ]);
}

function replaced(value: Json, [name, ...rest]: Place, other: Json): Json {
  if (name === undefined) return other;
  if (Array.isArray(value))
    return value.map((item, index) => (index === name ? replaced(item, rest, other) : item));
  const object = value as { readonly [name: string]: Json };
  return { ...object, [name]: replaced(object[name] ?? null, rest, other) };
}
