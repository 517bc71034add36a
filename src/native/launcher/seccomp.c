/*
 * The system call filter (seccomp(2)), a program for the kernel's BPF machine. The default filter is assembled from
 * denied.h: it lists what to deny, since a list of allowed calls would have to cover every program.
 */
#define _GNU_SOURCE
#include "launcher.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef AF_VSOCK
#define AF_VSOCK 40
#endif

/* A table of system call numbers. */
struct table {
	uint32_t machine;
	const int *denied;
	size_t count;
	int clone, clone3, ioctl, socket, unshare;
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define DENY(name, x86_64, i386, arm64) x86_64,
static const int denied_x86_64[] = {
#include "denied.h"
};
#undef DENY
#define DENY(name, x86_64, i386, arm64) i386,
static const int denied_i386[] = {
#include "denied.h"
};
#undef DENY
#define DENY(name, x86_64, i386, arm64) arm64,
static const int denied_arm64[] = {
#include "denied.h"
};
#undef DENY

static const struct table x86_64 = {
	AUDIT_ARCH_X86_64, denied_x86_64, COUNT(denied_x86_64), 56, 435, 16, 41, 272,
};
static const struct table i386 = {
	AUDIT_ARCH_I386, denied_i386, COUNT(denied_i386), 120, 435, 54, 359, 310,
};
static const struct table arm64 = {
	AUDIT_ARCH_AARCH64, denied_arm64, COUNT(denied_arm64), 220, 435, 29, 198, 97,
};

/* The last system call whose effect has been reviewed; Linux 6.13. */
enum { LAST_KNOWN = 466 };
#define NEW_NAMESPACES                                                                                \
	(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWUTS | CLONE_NEWIPC |       \
	 CLONE_NEWCGROUP)
/* CLONE_NEWTIME, which only unshare(2) accepts. */
#define NEW_TIME 0x80U

#define ALLOW SECCOMP_RET_ALLOW
#define DENIED (SECCOMP_RET_ERRNO | EPERM)
#define UNKNOWN (SECCOMP_RET_ERRNO | ENOSYS)
/*
 * Compares the lower half of an argument: the kernel ignores the upper half of these, and these machines store the
 * lower half first.
 */
#define ARGUMENT(n) ((uint32_t)offsetof(struct seccomp_data, args[n]))

enum { MOST_BOUNDS = 2 * (COUNT(denied_x86_64) + 5) };
/* The default filter, once it is assembled. */
static struct sock_filter *program;
static struct sock_fprog filter;

static void emit(uint16_t code, uint32_t k, uint8_t yes, uint8_t no)
{
	program[filter.len++] = (struct sock_filter){ code, yes, no, k };
}

static void load(uint32_t offset)
{
	emit(BPF_LD | BPF_W | BPF_ABS, offset, 0, 0);
}

static void result(uint32_t what)
{
	emit(BPF_RET | BPF_K, what, 0, 0);
}

/* For this number, the given count of following instructions decides. */
static void for_call(int number, uint8_t instructions)
{
	emit(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)number, 0, instructions);
}

static void deny_if(uint16_t comparison, uint32_t k)
{
	emit((uint16_t)(BPF_JMP | comparison | BPF_K), k, 0, 1);
	result(DENIED);
}

static int by_value(const void *left, const void *right)
{
	return *(const int *)left - *(const int *)right;
}

/* Jumps go forward only, to the end: ALLOW, followed by look_closer. */
static struct verdict {
	size_t from;
	bool if_yes, allowed;
} *verdicts;
static size_t verdict_count;

/*
 * Finds the interval of a number by binary search. Bounds are where the verdict changes, starting from "allowed". Few
 * steps matter: when the filter is installed, the kernel runs it for every number.
 */
static void search(const int *bounds, size_t first, size_t end)
{
	size_t middle = first + (end - first) / 2, jump = filter.len;
	emit(BPF_JMP | BPF_JGE | BPF_K, (uint32_t)bounds[middle], 0, 0);
	if (middle > first)
		search(bounds, first, middle);
	else
		verdicts[verdict_count++] = (struct verdict){ jump, false, middle % 2 == 0 };
	if (middle + 1 < end) {
		program[jump].jt = (uint8_t)(filter.len - jump - 1);
		search(bounds, middle + 1, end);
	} else {
		verdicts[verdict_count++] = (struct verdict){ jump, true, middle % 2 == 1 };
	}
}

/* Returns intervals of numbers that are not simply allowed, each as its first number and the one after its last. */
static size_t find_bounds(const struct table *table, int bounds[MOST_BOUNDS])
{
	int numbers[COUNT(denied_x86_64) + 5] = {
		table->clone, table->clone3, table->ioctl, table->socket, table->unshare,
	};
	size_t count = 5, bound = 0;
	for (size_t i = 0; i < table->count; i++)
		if (table->denied[i] >= 0)
			numbers[count++] = table->denied[i];
	qsort(numbers, count, sizeof(numbers[0]), by_value);
	for (size_t i = 0; i < count; i++) {
		if (bound > 0 && bounds[bound - 1] == numbers[i]) {
			bounds[bound - 1]++;
			continue;
		}
		bounds[bound++] = numbers[i];
		bounds[bound++] = numbers[i] + 1;
	}
	return bound;
}

/* Checks numbers whose arguments matter; all others that arrive here are denied. */
static void look_closer(const struct table *table)
{
	for_call(table->clone, 4);
	load(ARGUMENT(0));
	deny_if(BPF_JSET, NEW_NAMESPACES);
	result(ALLOW);
	for_call(table->unshare, 4);
	load(ARGUMENT(0));
	deny_if(BPF_JSET, NEW_NAMESPACES | NEW_TIME);
	result(ALLOW);
	/* clone3 passes its flags in memory, where a filter cannot see them; programs fall back to clone. */
	for_call(table->clone3, 1);
	result(UNKNOWN);
	/* Both insert input into a terminal as if it had been typed. */
	for_call(table->ioctl, 6);
	load(ARGUMENT(1));
	deny_if(BPF_JEQ, TIOCSTI);
	deny_if(BPF_JEQ, TIOCLINUX);
	result(ALLOW);
	/* AF_VSOCK reaches the host of a virtual machine, AF_ALG much of the kernel; no namespace isolates either. */
	for_call(table->socket, 6);
	load(ARGUMENT(0));
	deny_if(BPF_JEQ, AF_VSOCK);
	deny_if(BPF_JEQ, AF_ALG);
	result(ALLOW);
	result(DENIED);
}

static void decide(const struct table *table)
{
	int bounds[MOST_BOUNDS];

	load(offsetof(struct seccomp_data, nr));
	/* All numbers of the x32 ABI are above this as well. */
	emit(BPF_JMP | BPF_JGT | BPF_K, LAST_KNOWN, 0, 1);
	result(UNKNOWN);
	search(bounds, 0, find_bounds(table, bounds));

	size_t allow = filter.len;
	result(ALLOW);
	look_closer(table);
	while (verdict_count > 0) {
		size_t i = --verdict_count, from = verdicts[i].from;
		uint8_t distance = (uint8_t)(allow + !verdicts[i].allowed - from - 1);
		*(verdicts[i].if_yes ? &program[from].jt : &program[from].jf) = distance;
	}
}

static void for_machine(const struct table *table)
{
	size_t jump = filter.len;
	load(offsetof(struct seccomp_data, arch));
	/* A conditional jump reaches 255 instructions; an unconditional one has no such limit. */
	emit(BPF_JMP | BPF_JEQ | BPF_K, table->machine, 1, 0);
	emit(BPF_JMP | BPF_JA, 0, 0, 0);
	decide(table);
	program[jump + 2].k = (uint32_t)(filter.len - jump - 3);
}

static void assemble_default(void)
{
	program = filter.filter = allocate(BPF_MAXINSNS * sizeof(*program));
	verdicts = allocate(2 * MOST_BOUNDS * sizeof(*verdicts));
#if defined(__x86_64__)
	for_machine(&x86_64);
	for_machine(&i386);
	(void)arm64;
#elif defined(__aarch64__)
	for_machine(&arm64);
	(void)x86_64, (void)i386;
#else
	(void)x86_64, (void)i386, (void)arm64;
	die("there is no default filter for this machine: give a file, or off", NULL);
#endif
	result(UNKNOWN);
}

/* Reads the format that bwrap --seccomp accepts and seccomp_export_bpf(3) writes. */
static struct sock_fprog read_filter(const char *path)
{
	struct stat stat;
	scoped_fd fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &stat) < 0)
		die_errno("open the filter", path);
	if (stat.st_size == 0 || stat.st_size % (off_t)sizeof(program[0]) != 0 ||
	    stat.st_size > (off_t)(BPF_MAXINSNS * sizeof(program[0])))
		die("not a seccomp filter in binary form", path);
	struct sock_fprog read_one = { (unsigned short)(stat.st_size / (off_t)sizeof(program[0])),
				       allocate((size_t)stat.st_size) };
	if (read(fd, read_one.filter, (size_t)stat.st_size) != stat.st_size)
		die_errno("read the filter", path);
	return read_one;
}

/* In installation order. */
static struct sock_fprog *filters;
static size_t filter_count;

void load_filters(const struct list *which)
{
	filters = allocate(which->count * sizeof(filters[0]));
	for (size_t i = 0; i < which->count; i++) {
		if (strcmp(which->items[i], "off") == 0)
			continue;
		if (strcmp(which->items[i], "default") != 0) {
			filters[filter_count++] = read_filter(which->items[i]);
			continue;
		}
		if (filter.len == 0)
			assemble_default();
		filters[filter_count++] = filter;
	}
}

bool has_filter(void)
{
	return filter_count > 0;
}

/* Each filter but the last must allow installing the next. */
void install_filters(void)
{
	for (size_t i = 0; i < filter_count; i++)
		if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filters[i]) < 0)
			die_errno("install the seccomp filter", NULL);
}

void list_denied(void)
{
#define DENY(name, x86_64, i386, arm64) puts(#name);
#include "denied.h"
#undef DENY
	exit(EXIT_SUCCESS);
}
