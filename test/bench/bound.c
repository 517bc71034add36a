/*
 * The minimum work of a launcher: bound ROOT COMMAND. Creates mount, PID, UTS, IPC and network
 * namespaces, brings the loopback interface up, changes to a new root with /proc, and runs the
 * command.
 */
#define _GNU_SOURCE
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void must(long result, const char *step)
{
	if (result >= 0)
		return;
	perror(step);
	_exit(125);
}

int main(int argc, char **argv)
{
	int status;
	char *none[] = { NULL };
	if (argc < 3)
		return 125;
	pid_t child = (pid_t)syscall(SYS_clone,
				     CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC |
					     CLONE_NEWNET | SIGCHLD,
				     0, 0, 0, 0);
	must(child, "clone");
	if (child > 0) {
		must(waitpid(child, &status, 0), "wait");
		return WIFEXITED(status) ? WEXITSTATUS(status) : 125;
	}
	must(sethostname("jail", 4), "sethostname");
	struct ifreq request = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	must(fd, "socket");
	must(ioctl(fd, SIOCSIFFLAGS, &request), "lo");
	must(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), "private");
	must(mount(argv[1], argv[1], NULL, MS_BIND | MS_REC, NULL), "bind");
	must(chdir(argv[1]), "chdir");
	must(mount("proc", "proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL), "proc");
	must(syscall(SYS_pivot_root, ".", "."), "pivot_root");
	must(umount2(".", MNT_DETACH), "umount");
	must(chdir("/"), "chdir");
	execve(argv[2], argv + 2, none);
	must(-1, argv[2]);
}
