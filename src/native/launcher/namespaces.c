#define _GNU_SOURCE
#include "launcher.h"

#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif

/* A new network namespace has a loopback interface, and it is down. */
void bring_loopback_up(void)
{
	struct ifreq request = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	log_step("bringing up the loopback interface");
	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request) < 0)
		die_errno("bring up the loopback interface", NULL);
	close(fd);
}

void set_hostname(const char *hostname)
{
	log_step("setting the host name to %s", hostname);
	if (sethostname(hostname, strlen(hostname)) < 0)
		die_errno("set the host name to", hostname);
}

/* A time namespace is for the children to come; its clocks are set as long as it has none. */
void enter_time_namespace(const struct options *options)
{
	const char *path = "/proc/self/timens_offsets";
	char offsets[128];

	log_step("making a time namespace");
	if (unshare(CLONE_NEWTIME) < 0)
		die_errno("make a time namespace", NULL);
	int length = snprintf(offsets, sizeof(offsets), "monotonic %s 0\nboottime %s 0\n",
			      options->monotonic ? options->monotonic : "0",
			      options->boottime ? options->boottime : "0");
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, offsets, (size_t)length) != length)
		die_errno("write", path);
	close(fd);
	path = "/proc/self/ns/time_for_children";
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(fd, CLONE_NEWTIME) < 0)
		die_errno("enter", path);
	close(fd);
}
