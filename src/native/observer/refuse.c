/* Why nothing can be observed here. */
#include "observer.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Returns the number after a name in a file of /proc, or -1. */
static long number_in(const char *file, const char *name)
{
	char line[256];
	long number = -1;
	FILE *stream = fopen(file, "re");
	while (stream != NULL && fgets(line, sizeof(line), stream) != NULL)
		if (strncmp(line, name, strlen(name)) == 0)
			number = strtol(line + strlen(name), NULL, 10);
	if (stream != NULL)
		fclose(stream);
	return number;
}

/* Gives up if the security module Yama restricts to privileged processes, or forbids, what was denied. */
static void blame_yama(void)
{
	long scope = number_in("/proc/sys/kernel/yama/ptrace_scope", "");
	if (scope > 1)
		give_up("kernel.yama.ptrace_scope is %ld, which allows that to %s: lower it", scope,
			scope == 2 ? "root alone" : "nobody");
}

void refuse_to_trace(pid_t process)
{
	char file[40];
	int reason = errno;

	snprintf(file, sizeof(file), "/proc/%d/status", process);
	long tracer = number_in(file, "TracerPid:");
	if (tracer > 0)
		give_up("process %ld already traces it: start the command without that tracer", tracer);
	if (reason == EPERM)
		blame_yama();
	if (reason == EPERM || reason == ENOSYS)
		give_up("ptrace(2) is denied here, by a system call filter or a security module: use --mechanism notify");
	errno = reason;
	die("trace it");
}

void refuse_hidden_names(pid_t process)
{
	kill(process, SIGKILL);
	blame_yama();
	give_up("reading its memory (process_vm_readv(2)) is denied here, by a system call filter or a security module: allow it");
}
