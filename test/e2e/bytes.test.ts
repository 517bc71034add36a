import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { fromBytes, listNames, pathBuffer, toBytes } from '../../src/fs/path-bytes.js';
import { JAILBUILD, jailbuild } from '../support/cli.js';
import { needs, needsRoot } from '../support/need.js';
import { tempDir } from '../support/temp-dir.js';

/** `café` in Latin-1, a lone continuation byte, and a surrogate in UTF-8, which is invalid. */
const NAMES = ['caf\udce9', 'x\udc80y', '\udced\udca0\udc80', `${'l\udcff'.repeat(70)}`];

/**
 * Runs a script of sh(1) from its standard input: Node cannot pass arbitrary bytes as arguments.
 */
function shell(directory: string, script: string): Buffer {
  const text = `J='${process.execPath} ${JAILBUILD}'\nset -e\n${script}\n`;
  const { status, stdout, stderr } = spawnSync('sh', ['-s'], {
    cwd: directory,
    input: pathBuffer(text),
    env: { ...process.env, LC_ALL: 'C' },
  });
  assert.equal(status, 0, stderr.toString());
  return stdout;
}

function filled(directory: string): string {
  const data = path.join(directory, 'data');
  mkdirSync(data);
  for (const name of NAMES) {
    writeFileSync(toBytes(path.join(data, name)), pathBuffer(name));
    execFileSync('sh', ['-s'], { cwd: data, input: pathBuffer(`ln -s '${name}' 'to-${name}'\n`) });
  }
  return data;
}

const ALL = [...NAMES, ...NAMES.map((name) => `to-${name}`)].sort();

/** Returns the names below a directory, with the text that is read through each. */
function found(directory: string): string[] {
  return listNames(directory).sort();
}

const FORMS: Readonly<Record<string, readonly [string, string]>> = {
  'tar, by tar': ['tar:out', 'tar -xf ../out'],
  'tar, by bsdtar': ['tar:out', 'bsdtar -xf ../out'],
  'cpio, by cpio': ['cpio:out', 'cpio -id --quiet < ../out'],
  'cpio, by bsdcpio': ['cpio:out', 'bsdcpio -id --quiet < ../out'],
  'oci-archive, by umoci': [
    'oci-archive:out',
    'mkdir l && tar -xf ../out -C l && umoci unpack --rootless --image l:latest b && mv b/rootfs/* . && rm -r l',
  ],
  'docker-archive, by tar': [
    'docker-archive:out',
    'mkdir l && tar -xf ../out -C l && rm -f l/manifest.json && tar -xf l/*.tar && rm -r l',
  ],
  'ext4, by debugfs': ['ext4:out', "debugfs -R 'rdump /data .' ../out"],
  'squashfs, by unsquashfs': [
    'squashfs:out',
    'unsquashfs -quiet -no-progress -d x ../out && mv x/data .',
  ],
  'erofs, by fsck.erofs': ['erofs:out', 'fsck.erofs --extract=x ../out && mv x/data .'],
};
const READERS = [
  ...['tar', 'bsdtar', 'cpio', 'bsdcpio', 'umoci'],
  ...['debugfs', 'unsquashfs', 'fsck.erofs'],
];

for (const [name, [to, unpack]] of Object.entries(FORMS)) {
  const programs = READERS.filter((one) => unpack.includes(one));
  // These tools cannot set the owners of an image if run as a user.
  const isOfDisk = /ext4|squashfs|erofs/.test(to);
  const what = isOfDisk ? needsRoot(...programs) : needs(...programs);
  test(`names with any bytes are kept in ${name}`, what, () => {
    const directory = tempDir();
    const data = filled(directory);
    shell(
      directory,
      `$J export true --include '${data}:/data' --to ${to} --quiet\nmkdir u\ncd u\n${unpack}`,
    );
    assert.deepEqual(found(path.join(directory, 'u/data')), ALL);
  });
}

test('a jail, an image of it, a manifest and a jail of the manifest keep such names', () => {
  const directory = tempDir();
  const data = filled(directory);
  shell(
    directory,
    [
      `$J jail true --include '${data}:/data' --no-sync --quiet --manifest 'm\udce9.json' --digests`,
      "$J export jail --to 'tar:t\udce9.tar' --quiet --sbom spdx --sbom-file 's\udce9.json'",
      "mkdir u; tar -xf 't\udce9.tar' -C u",
      "$J other --from 'm\udce9.json' --no-sync --quiet",
      '$J check jail >&2; $J check other >&2',
    ].join('\n'),
  );
  for (const place of ['jail', 'u', 'other']) {
    assert.deepEqual(found(path.join(directory, place, 'data')), ALL, place);
  }
  const here = readdirSync(directory, { encoding: 'buffer' }).map(fromBytes);
  assert.ok(['m\udce9.json', 't\udce9.tar', 's\udce9.json'].every((name) => here.includes(name)));
});

test('includes, jail files and targets may have any bytes in their names, also below such a directory', () => {
  const directory = tempDir();
  shell(
    directory,
    [
      "mkdir 'd\udce9'; cd 'd\udce9'; echo x > 'f\udc80'",
      "$J 'j\udcff' true --include 'f\udc80' --no-sync --quiet",
      `cat '${directory}/d\udce9/j\udcff${directory}/d\udce9/f\udc80'`,
      "printf 'root: jail\\nprograms: [\"true\"]\\n' > 'y\udce9.yaml'; $J -f 'y\udce9.yaml' --no-sync --quiet; test -d jail",
    ].join('\n'),
  );
});

test('arguments, variables and the root of a run may contain any bytes', needsRoot(), () => {
  const directory = tempDir();
  const out = shell(
    directory,
    [
      "$J 'j\udcff' sh env --no-sync --quiet",
      "$J run 'j\udcff' --env 'V=v\udce9' --env 'W=plain' -- sh -c 'printf %s \"$1$V\"' sh 'a\udc80'",
      "$J run 'j\udcff' -- sh -c 'echo; exit 7' 'a\udc80' || echo $?",
    ].join('\n'),
  );
  assert.equal(fromBytes(out), 'a\udc80v\udce9\n7\n');
});

test(
  'variables of the caller and of a file are bytes, and no list of processes has them',
  needsRoot(),
  () => {
    const directory = tempDir();
    const hold = "sh -c 'touch /tmp/up; exec sleep 100'";
    const out = shell(
      directory,
      [
        "export V='v\udce9'; printf 'W=w\udcff\\n' > vars; V2=secret; export V2",
        '$J jail sh printenv cat sleep touch -q --no-sync',
        '$J run jail -e V -- printenv V; $J run jail --env-file vars -- printenv W',
        "TERM='t\udce9' $J run jail -- printenv TERM; env 'N\udc80=n' $J run jail -e 'N\udc80' -- printenv 'N\udc80'",
        "env 'N\udc80=n' $J trace -o t.json -- printenv V 'N\udc80' 2> messages",
        '$J prove jail -e V -- printenv V 2>> messages',
        `$J run jail -e V -e V2 -- ${hold} & run=$!`,
        'until $J exec jail -- cat /tmp/up 2> /dev/null; do sleep 0.1; done',
        '$J exec jail -e V -- printenv V',
        'for p in $(cat /proc/$run/task/*/children); do cat /proc/$p/cmdline; done | grep -c secret || true; kill $run; wait $run || true',
      ].join('\n'),
    );
    const v = 'v\udce9\n';
    assert.equal(fromBytes(out), `${v}w\udcff\nt\udce9\nn\n${v}n\n${v}${v}0\n`);
  },
);

test('PATH and HOME are bytes', () => {
  const directory = tempDir();
  const out = shell(
    directory,
    [
      "mkdir 'p\udce9' 'h\udce9'; cp \"$(command -v cat)\" 'p\udce9/own'; export PATH=\"$PWD/p\udce9:$PATH\"",
      'HOME="$PWD/h\udce9" $J jail own -q --no-sync; ls -d jail/"$PWD"/p*/own; ls',
    ].join('\n'),
  );
  assert.equal(fromBytes(out), `jail/${directory}/p\udce9/own\nh\udce9\njail\np\udce9\n`);
});

test('text output escapes such names, JSON contains them, and a depfile has their bytes', () => {
  const directory = tempDir();
  const name = 'caf\udce9';
  const program = `${directory}/p-${name}`;
  const text = (script: string) => shell(directory, script).toString('latin1');
  text(`cp "$(command -v cat)" '${program}'; mkdir d; echo x > 'd/${name}'`);
  text(`$J jail '${program}' --include "$PWD/d:/d" -q --no-sync --manifest m.json --depfile d.mk`);
  text(
    `$J other true --include "$PWD/d:/d" -q --no-sync; mv 'other/d/${name}' 'other/d/x-${name}'`,
  );
  const drift = 'other 2>&1 || test $? = 3';
  const texts = {
    tree: `$J tree '${program}'`,
    why: `$J why jail '/d/${name}'`,
    check: `$J check ${drift}`,
    annotations: `$J check --format github ${drift}`,
    diff: '$J diff other m.json',
    report: '$J report jail --output report.html -q; cat report.html',
    difference: '$J diff other m.json --html diff.html -q; cat diff.html',
    'dry run': `$J new true --include "$PWD/d:/d" --dry-run`,
    removal: '$J remove jail',
  };
  const jsons = {
    manifest: 'cat m.json',
    tree: `$J tree '${program}' --json`,
    why: `$J why jail '/d/${name}' --json`,
    check: `$J check --json ${drift}`,
    diff: '$J diff other m.json --json',
    cyclonedx: '$J export jail --to tar:a.tar --sbom cyclonedx --sbom-file c.json -q; cat c.json',
    spdx: '$J export jail --to tar:a.tar --sbom spdx --sbom-file s.json -q; cat s.json',
    'dry run': `$J new true --include "$PWD/d:/d" --dry-run --json`,
  };
  for (const [output, script] of Object.entries(jsons)) {
    const found = text(script);
    assert.match(found, /caf\\udce9/, output);
    assert.ok(JSON.stringify(JSON.parse(found)).includes('caf\\udce9'), output);
    assert.doesNotMatch(found, /\xe9|\xef\xbf\xbd|ufffd/, output);
  }
  for (const [output, script] of Object.entries(texts)) {
    const found = text(script);
    assert.match(found, /caf\\xe9/, output);
    assert.doesNotMatch(found, /caf\xe9|\xef\xbf\xbd/, output);
  }
  assert.match(text('cat d.mk'), /\/d\/caf\xe9/);
});

test('a command that is traced, proven or joined may contain any bytes', needsRoot(), () => {
  const directory = tempDir();
  const out = shell(
    directory,
    [
      "printf '#!/bin/sh\ncat \"$0.in\" \"$1\"\n' > 's\udce9'; chmod 755 's\udce9'; echo in > 's\udce9.in'",
      "echo given > 'a\udc80'; mkdir d; cp 's\udce9' 's\udce9.in' 'a\udc80' d",
      "$J trace -o t.json -- './s\udce9' 'a\udc80' 2> messages; grep -c 's.udce9.in' t.json",
      '$J jail sh cat sleep touch --include "$PWD/d:/d" -q --no-sync',
      "$J prove jail -- '/d/s\udce9' '/d/a\udc80' 2>> messages",
      "$J trace --in jail -o j.json -- '/d/s\udce9' '/d/a\udc80' 2>> messages",
      "$J run jail -- sh -c 'touch /tmp/up; exec sleep 100' & run=$!",
      'until $J exec jail -- cat /tmp/up 2> /dev/null; do sleep 0.1; done',
      "$J exec jail --env 'V=v\udce9' -- sh -c 'printf %s. \"$V\"; exec \"$@\"' sh '/d/s\udce9' '/d/a\udc80'",
      'kill $run; wait $run || true',
    ].join('\n'),
  );
  const [read, v] = ['in\ngiven\n', 'v\udce9.'];
  assert.equal(fromBytes(out), `${read}1\n${read}${read}${v}${read}`);
});

test('a bundle for OCI runtimes refuses such arguments, since its JSON only holds text', () => {
  const directory = tempDir();
  const out = shell(
    directory,
    "$J jail true -q --no-sync; $J run --oci-bundle b jail -- 'x\udce9' 2>&1 || echo $?; ls",
  );
  assert.match(out.toString(), /^jailbuild: --oci-bundle: [^\n]* is not UTF-8[^\n]*\n2\njail\n$/);
});

test('an option of an image that is not text is refused before anything is packed', () => {
  const directory = tempDir();
  const out = shell(
    directory,
    [
      '$J jail true -q --no-sync',
      "for o in '--env=V=v\udce9' '--label=l=\udce9' '--workdir=/\udce9' '--annotation=a\udce9=x'; do",
      '  $J export jail --to oci:image "$o" 2>&1 || echo $?',
      'done',
      `$J export jail --to oci:image --entrypoint '["true","a\\u0000"]' 2>&1 || echo $?; ls`,
    ].join('\n'),
  );
  const refused =
    'jailbuild: an option of the image is not UTF-8, which JSON cannot represent\n2\n';
  const withNul = 'jailbuild: an option of the image contains a NUL byte: remove it\n2\n';
  assert.equal(out.toString(), `${refused.repeat(4)}${withNul}jail\n`);
});

test('a library whose name is not UTF-8 is found and added', needs('cc'), () => {
  const directory = tempDir();
  shell(
    directory,
    [
      "echo 'int f(void){return 3;}' > l.c; echo 'int f(void); int main(void){return f()-3;}' > p.c",
      "cc -shared -fPIC -Wl,-soname,'libf\udce9.so' -o 'libf\udce9.so' l.c",
      "cc -o prog p.c './libf\udce9.so' -Wl,-rpath,'$ORIGIN'",
      './prog; $J jail ./prog --no-sync --quiet',
      `test -f 'jail${directory}/libf\udce9.so'; $J check jail >&2`,
    ].join('\n'),
  );
  // Without /proc the loader cannot resolve $ORIGIN.
  // Where a user may not enter a jail, the error says so.
  const ran = jailbuild(['run', path.join(directory, 'jail'), '--', `${directory}/prog`]);
  const isRefused = process.geteuid?.() !== 0 && ran.status === 125;
  assert.ok(ran.status === 0 || isRefused, ran.stderr);
});

test('a removed working directory is reported', () => {
  const directory = tempDir();
  const script = `mkdir gone; cd gone; rmdir ../gone; $J jail true 2>&1 || true; $J ${directory}/jail /bin/true --no-sync --quiet 2>&1 || true`;
  assert.match(
    shell(directory, script).toString(),
    /^jailbuild: the working directory is gone: [^\n]*\n/,
  );
});
