/*
 * The launcher's options of a running jail, one a row: KEPT_VALUE and KEPT_FLAG determine the rights of its command, and
 * thereby those of a further one; FLAG is any other option without a value. All others have one. launcher/running.ts has
 * the same; test/front/exec.test.ts compares them.
 */

KEPT_VALUE("--caps")
KEPT_VALUE("--ambient")
KEPT_VALUE("--seccomp")
KEPT_VALUE("--landlock")
KEPT_VALUE("--umask")
KEPT_VALUE("--rlimit")
KEPT_VALUE("--exec-label")
KEPT_FLAG("--no-new-privs")
KEPT_FLAG("--keyring")
KEPT_FLAG("--assert-userns-disabled")
FLAG("-p")
FLAG("-m")
FLAG("-n")
FLAG("-v")
FLAG("--sealed")
FLAG("--ipc")
FLAG("--cgroup")
FLAG("--time")
FLAG("--userns")
FLAG("--dev")
FLAG("--init")
FLAG("--mask-proc")
FLAG("--no-proc")
FLAG("--read-only")
FLAG("--new-session")
FLAG("--pty")
FLAG("--die-with-parent")
FLAG("--disable-userns")
