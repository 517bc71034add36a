/**
 * A property that a test of bubblewrap 0.11.1 checks (tests/test-run.sh, test-seccomp.py,
 * test-specifying-userns.sh and test-specifying-pidns.sh; one entry for each result that they
 * print).
 */
export interface Property {
  readonly name: string;
  /** Options of bwrap; absent if the property has no counterpart in run. */
  readonly theirs?: string;
  /** Options of run with the same effect. */
  readonly ours: string;
  /** Script for the command in the jail. */
  readonly inside?: string;
  /** Shell commands around the run, with a private directory $D. */
  readonly setUp?: string;
  /** Redirections of the run. */
  readonly with?: string;
  readonly tearDown?: string;
  /**
   * A complete script instead; `box` runs with the given options, `try` adds those of the property
   * first.
   */
  readonly script?: string;
  /** Expected output of both. */
  readonly prints: string;
  /** First version of bubblewrap with this property. */
  readonly since?: string;
  /** Run by an unprivileged user. */
  readonly byUser?: boolean;
  /** Reason why run lacks it. */
  readonly differs?: string;
}

const NAMESPACES: readonly (readonly [theirs: string, ours: string])[] = [
  ['', ''],
  ['--unshare-user-try', '--userns root --unshare-try user'],
  ['--unshare-pid', ''],
  ['--unshare-user-try --unshare-pid', '--userns root --unshare-try user'],
];

/** Properties that bubblewrap tests with each set of namespaces. */
const inNamespaces = NAMESPACES.flatMap(([theirs, ours]): readonly Property[] => {
  const given = theirs || 'no option';
  return [
    {
      name: `a FUSE directory is mounted, with ${given}`,
      script: `mkdir $D/lower $D/fuse; echo data > $D/lower/file
        fuse-overlayfs -o lowerdir=$D/lower $D/fuse && box $T --bind $D/fuse$S/tmp/foo -- cat /tmp/foo/file
        umount $D/fuse`,
      theirs,
      ours,
      prints: 'data\n',
    },
    {
      name: `/proc is mounted, with ${given}`,
      theirs,
      ours,
      inside: 'echo /proc/self/stat*',
      prints: '/proc/self/stat /proc/self/statm /proc/self/status\nstatus 0\n',
    },
    {
      name: `a network without a device of the host, with ${given}`,
      theirs: `${theirs} --unshare-net`,
      ours: `${ours} --network none`,
      inside: 'while read -r n _; do case $n in *:) echo $n;; esac; done < /proc/net/dev | sort',
      prints: 'lo:\nstatus 0\n',
    },
    {
      name: `a file that the caller cannot read, with ${given}`,
      script:
        'echo secret > $D/shadow; chmod 600 $D/shadow; user box $T --bind $D/shadow$S/tmp/foo -- cat /tmp/foo 2> /dev/null; echo status $?',
      theirs,
      ours,
      prints: 'status 1\n',
    },
    {
      name: `a file below a directory that the caller cannot enter, with ${given}`,
      script:
        'mkdir -m 700 $D/closed; echo secret > $D/closed/file; user box $T --bind $D/closed/file$S/tmp/foo -- cat /tmp/foo 2> /dev/null || echo refused',
      theirs,
      ours,
      prints: 'refused\n',
    },
    {
      name: `a mount over a symbolic link, with ${given}`,
      setUp: 'mkdir $D/data; echo text > $D/data/file',
      theirs: `${theirs} --dir /tmp/dir --symlink dir /tmp/link --bind $D/data /tmp/link`,
      ours: `${ours} --dir /tmp/dir --symlink dir:/tmp/link --bind $D/data:/tmp/link`,
      inside: 'cat /tmp/link/file /tmp/dir/file',
      prints: 'text\ntext\nstatus 0\n',
    },
  ];
});

const files: readonly Property[] = [
  {
    name: 'a symbolic link',
    theirs: '--symlink /dev/null /tmp/link',
    ours: '--symlink /dev/null:/tmp/link',
    inside: 'readlink /tmp/link',
    prints: '/dev/null\nstatus 0\n',
  },
  {
    name: 'a symbolic link that is there already',
    since: '0.9',
    theirs: '--symlink /dev/null /tmp/link --symlink /dev/null /tmp/link',
    ours: '--symlink /dev/null:/tmp/link --symlink /dev/null:/tmp/link',
    inside: 'readlink /tmp/link',
    prints: '/dev/null\nstatus 0\n',
  },
  {
    name: 'another symbolic link is not overwritten',
    script: 'box $T -- true 2> $D/err || grep -qE "link.*exist" $D/err && echo refused',
    theirs: '--symlink /dev/null /tmp/link --symlink /dev/full /tmp/link',
    ours: '--symlink /dev/null:/tmp/link --symlink /dev/full:/tmp/link',
    prints: 'refused\n',
  },
  {
    name: 'all devices',
    theirs: '--unshare-pid',
    ours: '',
    inside: 'cd /dev; echo $(ls -d stdin stdout stderr null random urandom zero full tty fd core)',
    prints: 'core fd full null random stderr stdin stdout tty urandom zero\nstatus 0\n',
  },
  {
    name: 'a mount of / has the real /tmp',
    script: 'f=$(mktemp /tmp/jailbuild-test-XXXXXX); echo hello > $f; all -- cat $f; rm $f',
    theirs: '',
    ours: '',
    prints: 'hello\n',
  },
  {
    name: 'a mount of /tmp on itself has the real one',
    script:
      'f=$(mktemp /tmp/jailbuild-test-XXXXXX); echo hello > $f; all --bind /tmp$S/tmp -- cat $f; rm $f',
    theirs: '',
    ours: '',
    prints: 'hello\n',
  },
  {
    name: 'a mount of /tmp elsewhere has the real one',
    script:
      'f=$(mktemp /tmp/jailbuild-test-XXXXXX); echo hello > $f; all --bind /tmp$S/mnt -- cat /mnt/$(basename $f); rm $f',
    theirs: '',
    ours: '',
    prints: 'hello\n',
  },
  {
    name: 'another directory on /tmp, and nothing of the old root',
    script:
      'echo hello > $D/input; all --bind $D$S/tmp -- sh -c "cat /tmp/input; ls -d /tmp/oldroot /tmp/newroot 2> /dev/null || echo none"',
    theirs: '',
    ours: '',
    prints: 'hello\nnone\n',
  },
  {
    name: 'another directory within /tmp, and nothing of the old root',
    setUp: 'echo hello > $D/input',
    theirs: '--bind $D /tmp/here',
    ours: '--bind $D:/tmp/here',
    inside: 'cat /tmp/here/input; ls -d /tmp/here/oldroot /tmp/newroot 2> /dev/null || echo none',
    prints: 'hello\nnone\nstatus 0\n',
  },
  {
    name: 'modes of places to mount on',
    setUp: 'mkdir $D/dir $D/x; : > $D/file',
    theirs: '--bind $D/x /tmp/d --bind $D/dir /tmp/d/dir --bind $D/file /tmp/d/file',
    ours: '--bind $D/x:/tmp/d --bind $D/dir:/tmp/d/dir --bind $D/file:/tmp/d/file',
    tearDown: 'cd $D/x; echo $(stat -c %a dir file)',
    prints: 'status 0\n755 444\n',
  },
  {
    name: 'a socket on a socket',
    setUp: `python3 -c "import socket, sys; socket.socket(socket.AF_UNIX).bind('$D/log')"`,
    theirs: '--bind $D /tmp/d --bind $D/log /tmp/d/log',
    ours: '--bind $D:/tmp/d --bind $D/log:/tmp/d/log',
    inside: '[ -S /tmp/d/log ] && echo socket',
    prints: 'socket\nstatus 0\n',
  },
  {
    name: 'modes of directories that are made',
    setUp: 'mkdir $D/a $D/b; chmod 710 $D/a; chmod 754 $D/b',
    theirs:
      '--bind $D /tmp/d --perms 1741 --dir /tmp/d/set --dir /tmp/d/a --perms 0741 --dir /tmp/d/b --dir /tmp/d/c --chmod 1755 /tmp/d/c --dir /tmp/d/default',
    ours: '--bind $D:/tmp/d --dir /tmp/d/set:1741 --dir /tmp/d/a --dir /tmp/d/b:0741 --dir /tmp/d/c --chmod 1755:/tmp/d/c --dir /tmp/d/default',
    inside: 'cd /tmp/d; echo $(stat -c %a set a b c default)',
    prints: '1741 710 754 1755 755\nstatus 0\n',
  },
  ...((): readonly Property[] => {
    const modes = [
      '1777',
      '0755',
      '0644',
      '0750',
      '0710',
      '0720',
      '0640',
      '0700',
      '0600',
      '0705',
      '0604',
      '0000',
    ];
    return [
      {
        name: 'modes of directories above',
        theirs: modes.map((mode) => `--perms ${mode} --dir /tmp/${mode}/dir`).join(' '),
        ours: modes.map((mode) => `--dir /tmp/${mode}/dir:${mode}`).join(' '),
        inside: `cd /tmp; echo $(stat -c %a ${modes.join(' ')})`,
        prints: '755 755 755 750 750 750 750 700 700 705 705 700\nstatus 0\n',
      },
    ];
  })(),
  {
    name: 'modes of a tmpfs',
    theirs: '--perms 01777 --tmpfs /tmp/a --tmpfs /tmp/b',
    ours: '--tmpfs /tmp/a:mode=1777 --tmpfs /tmp/b',
    inside: 'echo $(stat -c %a /tmp/a /tmp/b)',
    prints: '1777 755\nstatus 0\n',
  },
  {
    name: 'the size of a tmpfs',
    theirs: '--size 1048576 --perms 01777 --tmpfs /tmp/a --size 1048576 --tmpfs /tmp/b',
    ours: '--tmpfs /tmp/a:size=1048576,mode=1777 --tmpfs /tmp/b:size=1048576',
    inside: 'stat -c %a /tmp/a; stat -f -c "%b %S" /tmp/a /tmp/b',
    prints: '1777\n256 4096\n256 4096\nstatus 0\n',
  },
  {
    name: 'modes of files',
    differs:
      '--file makes a file of mode 0644 here, and 0666 with bwrap: others may not write to it',
    theirs:
      '--perms 0640 --file 8 /tmp/a --bind-data 7 /tmp/b --perms 0640 --ro-bind-data 6 /tmp/c',
    ours: '--file 8:/tmp/a:640 --bind-data 7:/tmp/b --ro-bind-data 6:/tmp/c:640',
    with: '6< /dev/null 7< /dev/null 8< /dev/null',
    inside: 'echo $(stat -c %a /tmp/a /tmp/b /tmp/c)',
    prints: '640 600 640\nstatus 0\n',
  },
  {
    name: 'sizes of a tmpfs that are none are refused',
    differs: 'size=0 is no limit here, as in tmpfs(5) and with podman',
    script: `for size in 123bogus '' -12345678 ' -12345678' 18446744073709551616 9223372036854775809; do
        sized "$size" 2> /dev/null || echo refused; done`,
    theirs: '',
    ours: '',
    prints: 'refused\n'.repeat(6),
  },
  {
    name: 'a mode and a size are given once',
    script:
      'box $T -- true 2> /dev/null || echo refused; box $U -- true 2> /dev/null || echo refused',
    setUp: 'U="$UNUSED"',
    theirs: '--perms 0640 --perms 0640 --tmpfs /tmp/a',
    ours: '--tmpfs /tmp/a:size=1m,size=1m',
    prints: 'refused\nrefused\n',
  },
];

const processes: readonly Property[] = [
  {
    name: 'help',
    script: 'help | head -n 1 | grep -qi usage && echo shown',
    theirs: '',
    ours: '',
    prints: 'shown\n',
  },
  {
    name: 'the command as the first process',
    theirs: '--unshare-pid --as-pid-1',
    ours: '--no-init',
    inside: 'echo $$',
    prints: '1\nstatus 0\n',
  },
  {
    name: 'the status of a jail, on both descriptors',
    theirs: '--unshare-all --info-fd 8 --json-status-fd 9',
    ours: '--info-fd 8 --json-status-fd 9',
    with: '8> $D/info 9> $D/status',
    inside: 'exit 42',
    tearDown:
      'grep -oE "\\"child-pid\\": *[0-9]" $D/info $D/status | wc -l; grep -oE "\\"exit-code\\": *42" $D/status | tr -d " "',
    prints: 'status 42\n2\n"exit-code":42\n',
  },
  {
    name: 'the numbers of the namespaces, on both descriptors',
    theirs: '--unshare-all --info-fd 8 --json-status-fd 9',
    ours: '--network none --userns root --info-fd 8 --json-status-fd 9',
    with: '8> $D/info 9> $D/status > $D/numbers',
    inside: 'cd /proc/self/ns; stat -L -c %i ipc mnt net pid uts',
    tearDown: 'for n in $(< $D/numbers); do grep -lw $n $D/info $D/status; done | wc -l',
    prints: 'status 0\n10\n',
  },
  {
    name: 'no exit status if the command could not be started',
    theirs: '--json-status-fd 9 --chdir /nowhere',
    ours: '--json-status-fd 9 --workdir /nowhere',
    script: 'box $T -- true 9> $D/status 2> /dev/null || grep -c exit-code $D/status',
    prints: '0\n',
  },
  {
    name: 'no exit status if the command is no program',
    script: 'box $T -- / 9> $D/status 2> /dev/null || grep -c exit-code $D/status',
    theirs: '--json-status-fd 9',
    ours: '--json-status-fd 9',
    prints: '0\n',
  },
  {
    name: '/proc in a jail within a jail',
    theirs: '--unshare-user --uid 0 --gid 0 --cap-add ALL --bind /proc /proc --ro-bind $BOX /box',
    ours: '--userns root --cap-add ALL --seccomp off --proc full --bind $OWN:/box',
    inside: '$INNER bash -c "echo /proc/self/stat*"',
    prints: '/proc/self/stat /proc/self/statm /proc/self/status\nstatus 0\n',
  },
  {
    name: 'a new root in a jail within a jail',
    theirs: '--unshare-user --uid 0 --gid 0 --cap-add ALL --bind /proc /proc --ro-bind $BOX /box',
    ours: '--userns root --cap-add ALL --seccomp off --proc full --bind $OWN:/box',
    inside: '$INNER bash -c "cd /; echo u*"',
    prints: 'usr\nstatus 0\n',
  },
  {
    name: 'no further user namespace, whatever the limit is set to',
    theirs: '--unshare-user --disable-userns --assert-userns-disabled',
    ours: '--userns root --seccomp off --proc full --disable-userns --assert-userns-disabled',
    inside:
      'echo 100 2> /dev/null > /proc/sys/user/max_user_namespaces; /busybox unshare -U /busybox true 2> /dev/null || echo refused',
    prints: 'refused\nstatus 0\n',
  },
  {
    name: 'messages begin with the name of the program',
    script: 'box $T -- true 2>&1 | grep -cE "^(bwrap|invoke_ns|jailbuild): .*/source-enoent"',
    theirs: '--bind /source-enoent /dest',
    ours: '--bind /source-enoent:/dest',
    prints: '1\n',
  },
  {
    name: 'a user has no capabilities',
    byUser: true,
    theirs: '',
    ours: '--userns keep-id',
    inside:
      'while read -r n v; do case $n in CapInh:|CapPrm:|CapEff:|CapAmb:) echo $v;; esac; done < /proc/self/status',
    prints: `${'0000000000000000\n'.repeat(4)}status 0\n`,
  },
  {
    name: 'root has the capabilities that are not dropped',
    script: `caps() { box "$@" -- bash -c 'while read -r n v; do [ $n = CapEff: ] && echo $v; done < /proc/self/status'; }
      [ $(caps $ALL) = $(while read -r n v; do [ $n = CapEff: ] && echo $v; done < /proc/self/status) ] && echo all
      caps --cap-drop ALL; v=$(caps $ALL --cap-drop CAP_KILL --cap-drop CAP_FOWNER)
      echo $((0x$v >> 5 & 1)) $((0x$v >> 3 & 1)) $((0x$v >> 10 & 1))`,
    theirs: '',
    ours: '',
    prints: 'all\n0000000000000000\n0 0 1\n',
  },
  ...(['', '--unshare-pid'] as const).map(
    (option): Property => ({
      name: `the jail ends with its starter, with ${option || 'no option'}`,
      // bwrap's jail ends only after it is set up, so its command is waited for.
      script: `bash -c 'box "$@" --die-with-parent --bind '"$D$S"'/tmp/d --info-fd 9 -- sh -c ": > /tmp/d/runs; exec sleep 600" 9> '"$D"'/info; true' bash $T > /dev/null & P=$!
        for i in $(seq 1200); do [ -e $D/runs ] && break; sleep 0.1; done
        [[ $(< $D/info) =~ child-pid\\":\\ *([0-9]+) ]]; C=\${BASH_REMATCH[1]}; kill -0 $C && echo runs
        kill -9 $P; for i in $(seq 1200); do kill -0 $C 2> /dev/null || break; sleep 0.1; done
        kill -KILL $C 2> /dev/null || echo ended`,
      theirs: option,
      ours: option === '' ? '' : '--no-init',
      prints: 'runs\nended\n',
    }),
  ),
  {
    name: 'arguments from descriptors',
    setUp: `for n in 1 2 3; do printf -- '--dir\\0/tmp/hello/%s\\0' $n > $D/$n; done`,
    theirs: '--args 7 --args 8 --args 9',
    ours: '--args 7 --args 8 --args 9',
    with: '7< $D/1 8< $D/2 9< $D/3',
    inside: 'cd /tmp/hello; echo *',
    prints: '1 2 3\nstatus 0\n',
  },
  {
    name: '-- ends the options',
    theirs: '',
    ours: '',
    inside: 'echo hello',
    prints: 'hello\nstatus 0\n',
  },
  {
    name: 'a program with the name of an option',
    script: `mkdir $D/bin; printf '#!/bin/bash\\necho hello\\n' > $D/bin/--odd--; chmod +x $D/bin/--odd--
      PATH=$D/bin:$PATH box $T -- --odd--`,
    theirs: '--bind $D/bin /tmp/bin --setenv PATH /tmp/bin:/usr/bin:/bin',
    ours: '--bind $D/bin:/tmp/bin -e PATH=/tmp/bin:/usr/bin:/bin',
    prints: 'hello\n',
  },
  {
    name: 'options after -- are no options',
    script:
      'box -- --dev-bind /dev /dev bash -c "echo should not have run" 2> /dev/null || echo refused',
    theirs: '',
    ours: '',
    prints: 'refused\n',
  },
  {
    name: 'the environment',
    setUp: 'export FOO=wrong BAR=baz',
    theirs: '--setenv FOO bar',
    ours: '--env FOO=bar --env BAR',
    inside: 'echo $FOO$BAR',
    tearDown: `box $UNSET -- bash -c 'echo "$FOO$BAR"'; box $CLEAR -- env | grep -cE "^(FOO|BAR)="`,
    prints: 'barbaz\nstatus 0\nbaz\n0\n',
  },
  {
    name: 'the name of the command',
    since: '0.9',
    script: `box -- bash -c 'echo $0'; box --argv0 right -- bash -c 'echo $0'`,
    theirs: '--argv0 right',
    ours: '--argv0 right',
    prints: 'bash\nright\n',
  },
  {
    name: 'a directory that a descriptor refers to',
    since: '0.10',
    setUp: 'echo foobar > $D/file; cd $D',
    theirs: '--bind-fd 9 /tmp/d',
    ours: '--bind-fd 9:/tmp/d',
    with: '9< .',
    inside: 'cat /tmp/d/file',
    prints: 'foobar\nstatus 0\n',
  },
  {
    name: 'a warning of a second working directory',
    differs: 'refused here: an option that is given twice is a mistake',
    ours: '--workdir / --workdir /',
    script: 'box $T -- true 2> /dev/null || echo refused',
    prints: 'refused\n',
  },
  {
    name: '--level-prefix',
    differs: 'not here: a unit of systemd sets the level of its messages (SyslogLevel=)',
    ours: '--level-prefix',
    script: 'box $T -- true 2> /dev/null || echo refused',
    prints: 'refused\n',
  },
];

/** Two stacked layers, and an upper one. */
const LAYERS = `mkdir $D/1 $D/2 $D/upper $D/work $D/w2; cd $D
  printf 1 > 1/a; printf 2 > 1/b; printf 3 > 2/b; printf 4 > upper/a;`;

const overlays: readonly Property[] = [
  {
    name: 'an overlay that is kept',
    since: '0.11',
    setUp: LAYERS,
    theirs: '--overlay-src $D/1 --overlay-src $D/2 --overlay $D/upper $D/work /tmp/x/y/z',
    ours: '--mount type=overlay,src=$D/1,src=$D/2,upperdir=$D/upper,workdir=$D/work,dst=/tmp/x/y/z',
    inside: 'cd /tmp/x/y/z; cat a b; printf 5 > b; cat b; echo',
    tearDown: 'cat $D/upper/b $D/2/b',
    prints: '435\nstatus 0\n53',
  },
  {
    name: 'paths of layers with special characters',
    since: '0.11',
    setUp: `mkdir "$D/"{lower,upper,work}' ":,\\'; printf 1 > "$D/"'lower ":,\\/a'`,
    script: `odd sh -c 'cat /tmp/x/a; printf 2 > /tmp/x/a; cat /tmp/x/a'; cat "$D/"*/a`,
    theirs: '--overlay-src',
    ours: '--mount',
    prints: '1212',
  },
  {
    name: 'an overlay in memory',
    since: '0.11',
    setUp: LAYERS,
    theirs:
      '--overlay-src $D/1 --overlay-src $D/2 --tmp-overlay /tmp/x --overlay-src $D/1 --tmp-overlay /tmp/y',
    ours: '--mount type=overlay,src=$D/1,src=$D/2,dst=/tmp/x --mount type=overlay,src=$D/1,dst=/tmp/y',
    inside: 'cd /tmp; cat x/a x/b; printf 4 > x/b; cat x/b y/b; echo',
    tearDown: 'cat $D/1/b $D/2/b',
    prints: '1342\nstatus 0\n23',
  },
  {
    name: 'an overlay that is read-only',
    since: '0.11',
    setUp: LAYERS,
    theirs: '--overlay-src $D/1 --overlay-src $D/2 --ro-overlay /tmp/x/y/z',
    ours: '--mount type=overlay,src=$D/1,src=$D/2,ro,dst=/tmp/x/y/z',
    inside: 'cd /tmp/x/y/z; cat a b; printf 4 2> /dev/null > b || echo held; cat b',
    prints: '13held\n3status 0\n',
  },
  {
    name: 'an overlay without a lower directory, or a lower directory without an overlay, is refused',
    since: '0.11',
    script:
      'box $T -- true 2> /dev/null || echo refused; box $U -- true 2> /dev/null || echo refused',
    setUp: 'U="$UNUSED"',
    theirs: '--tmp-overlay /tmp/x',
    ours: '--mount type=overlay,dst=/tmp/x',
    prints: 'refused\nrefused\n',
  },
];

/** Waits for a first jail, whose namespaces are in $FIRST, and lets it end at last. */
const JOINED = (type: string): string => `
  mkfifo $D/wait; box $T --info-fd 9 -- bash -c 'readlink /proc/self/ns/${type}; read -r l < /tmp/d/wait' 9> $D/info > $D/first &
  for i in $(seq 1200); do [ -s $D/first ] && break; sleep 0.1; done
  [[ $(< $D/info) =~ child-pid\\":\\ *([0-9]+) ]]; join \${BASH_REMATCH[1]} > $D/second; echo > $D/wait; wait
  cmp $D/first $D/second && [ -s $D/first ] && echo same`;

const namespaces: readonly Property[] = [
  {
    name: 'a user namespace is joined',
    script: `join() { enter $1 readlink /proc/self/ns/user; } ${JOINED('user')}`,
    theirs: '--unshare-user --bind $D /tmp/d',
    ours: '--userns root --bind $D:/tmp/d',
    prints: 'same\n',
  },
  {
    name: 'a PID namespace is joined',
    script: `join() { enter_all $1 readlink /proc/self/ns/pid; } ${JOINED('pid')}`,
    theirs: '--unshare-user --unshare-pid --bind $D /tmp/d',
    ours: '--userns root --bind $D:/tmp/d',
    prints: 'same\n',
  },
];

/**
 * chmod, chroot, clone3, ioctl with TIOCNOTTY, TIOCSTI with and without additional bits, listen,
 * and prctl with invalid arguments.
 */
const CALLS = '90:0:0 161:0 435:0:0 16:-1:0x5422 16:-1:0x100005412 16:-1:0x5412 50:-1 157:37:1';
const TRIED = `/calls ${CALLS} | while read -r n e; do printf "%s " $e; done; echo`;
const DENIED = [
  ...['chmod', 'chroot'].map((name) => `rule SCMP_ACT_ERRNO:111 ${name}`),
  'rule SCMP_ACT_ERRNO:111 ioctl 1 SCMP_CMP_MASKED_EQ 4294967295 21522',
];
const ALLOWED = [
  ...[
    'execve',
    'exit',
    'exit_group',
    'brk',
    'mmap',
    'munmap',
    'mprotect',
    'mremap',
    'madvise',
    'read',
    'write',
  ],
  ...[
    'open',
    'openat',
    'close',
    'close_range',
    'fcntl',
    'fstat',
    'newfstatat',
    'readlink',
    'lseek',
    'access',
  ],
  ...[
    'arch_prctl',
    'set_tid_address',
    'set_robust_list',
    'rseq',
    'prlimit64',
    'getrandom',
    'futex',
    'uname',
  ],
  ...[
    'rt_sigaction',
    'rt_sigprocmask',
    'rt_sigreturn',
    'chmod',
    'ioctl',
    'prctl',
    'seccomp',
    'dup',
    'dup2',
  ],
];
export const FILTERS: Readonly<Record<string, readonly string[]>> = {
  deny: ['default SCMP_ACT_ALLOW', ...DENIED],
  'deny-prctl': ['default SCMP_ACT_ALLOW', ...DENIED, 'rule SCMP_ACT_ERRNO:111 prctl'],
  allow: ['default SCMP_ACT_ERRNO:38', ...ALLOWED.map((name) => `rule SCMP_ACT_ALLOW ${name}`)],
};
/** The command is the program itself, since the filters allow little else. */
const filtered = (theirs: string, ours: string, redirections: string) => ({
  theirs,
  ours,
  script: `box $T -- /calls ${CALLS} ${redirections} | while read -r n e; do printf "%s " $e; done; echo`,
});

const filters: readonly Property[] = [
  {
    name: 'system calls without a filter',
    theirs: '',
    ours: '--seccomp off',
    inside: TRIED,
    prints: '14 14 22 9 9 9 9 14 \nstatus 0\n',
  },
  {
    name: 'a filter that allows',
    ...filtered('--seccomp 9', '--seccomp $F/allow', '9< $F/allow'),
    prints: '14 38 38 9 9 9 38 14 \n',
  },
  {
    name: 'a filter that denies',
    ...filtered('--seccomp 9', '--seccomp $F/deny-prctl', '9< $F/deny-prctl'),
    prints: '111 111 22 9 111 111 9 111 \n',
  },
  {
    name: 'a filter that allows upon one that denies',
    ...filtered(
      '--add-seccomp-fd 8 --add-seccomp-fd 9',
      '--seccomp $F/deny --seccomp $F/allow',
      '8< $F/deny 9< $F/allow',
    ),
    prints: '111 38 38 9 111 111 38 14 \n',
  },
  {
    name: 'a filter that denies upon one that allows',
    ...filtered(
      '--add-seccomp-fd 8 --add-seccomp-fd 9',
      '--seccomp $F/allow --seccomp $F/deny-prctl',
      '8< $F/allow 9< $F/deny-prctl',
    ),
    prints: '111 111 38 9 111 111 38 111 \n',
  },
  {
    name: 'filters that are none are refused',
    script: `: > $D/empty; printf 1 > $D/odd; filter nothing 2> /dev/null || echo refused
      filter $D/odd 2> /dev/null || echo refused; [ -n "$OURS" ] && { filter $D/empty 2> /dev/null && echo ran; }; echo end`,
    theirs: '',
    ours: '',
    prints: 'refused\nrefused\nend\n',
  },
];

export const PROPERTIES = [
  ...inNamespaces,
  ...files,
  ...processes,
  ...overlays,
  ...namespaces,
  ...filters,
];
