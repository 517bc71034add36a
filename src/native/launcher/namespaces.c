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

/* A new network namespace has a loopback interface that is down. */
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

/*
 * Sysctls that belong to a namespace; all others are the host's (namespaces(7), and the kernel's admin-guide/sysctl).
 */
static bool is_of_namespace(const char *name)
{
	static const char *const prefixes[] = { "net.", "fs.mqueue.", "kernel.shm", "kernel.msg" };
	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
		if (strncmp(name, prefixes[i], strlen(prefixes[i])) == 0)
			return true;
	return strcmp(name, "kernel.sem") == 0 || strcmp(name, "kernel.domainname") == 0;
}

/* Returns whether that namespace is new or was joined by name. */
static bool has_namespace(const struct options *options, const char *name)
{
	bool is_net = strncmp(name, "net.", 4) == 0, is_uts = strcmp(name, "kernel.domainname") == 0;
	const char *joined = is_net ? "net=" : is_uts ? "uts=" : "ipc=";
	for (size_t i = 0; i < options->joined.count; i++)
		if (strncmp(options->joined.items[i], joined, 4) == 0)
			return true;
	return is_net ? options->new_net : is_uts ? options->new_uts : options->new_ipc;
}

static void write_file(const char *path, const char *value)
{
	scoped_fd fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, value, strlen(value)) < 0)
		die_errno("write", path);
}

void set_oom_score(const char *score)
{
	write_file("/proc/self/oom_score_adj", score);
}

void set_sysctls(const struct options *options)
{
	char path[256];
	for (size_t i = 0; i < options->sysctls.count; i++) {
		const char *text = options->sysctls.items[i], *value = strchr(text, '=');
		int length = value != NULL ? (int)(value - text) : 0;
		if (length == 0 || strstr(text, "..") != NULL || memchr(text, '/', (size_t)length) != NULL)
			die("--sysctl takes NAME=VALUE, not", text);
		char *name = allocate((size_t)length + 1);
		memcpy(name, text, (size_t)length);
		if (!is_of_namespace(name))
			die("a jail cannot set a sysctl of the whole machine", name);
		if (!has_namespace(options, name))
			die("the sysctl belongs to a namespace that the jail shares with others", name);
		snprintf(path, sizeof(path), "/proc/sys/%s", name);
		for (char *dot = path + strlen("/proc/sys/"); *dot != '\0'; dot++)
			if (*dot == '.')
				*dot = '/';
		log_step("setting %s", text);
		write_file(path, value + 1);
	}
}

/* The limit is per namespace and can be raised only with CAP_SYS_RESOURCE in it. */
void disable_user_namespaces(const struct options *options)
{
	if (!options->limit_caps || (options->caps & parse_caps("sys_resource")))
		die("--disable-userns requires --caps without sys_resource, which could allow them again", NULL);
	write_file("/proc/sys/user/max_user_namespaces", "0");
}

void assert_user_namespaces_disabled(const struct options *options)
{
	for (size_t i = 0; i < options->seccomp.count; i++)
		if (strcmp(options->seccomp.items[i], "default") == 0)
			return;
	if (unshare(CLONE_NEWUSER) == 0)
		die("the command could make a user namespace, which --assert-userns-disabled forbids", NULL);
}

/* A time namespace applies to future children; its clocks can be set until it has one. */
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
