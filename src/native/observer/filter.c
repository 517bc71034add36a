/* The system call filter, a program for the kernel's BPF machine (seccomp(2)). */
#define _GNU_SOURCE
#include "observer.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#ifndef CLONE_UNTRACED
#define CLONE_UNTRACED 0x00800000
#endif

/*
 * Compares the lower half of an argument: the kernel ignores the upper half of these, and these machines store the
 * lower half first.
 */
#define ARGUMENT(n) ((uint32_t)offsetof(struct seccomp_data, args[n]))
#define UNKNOWN_CALL (SECCOMP_RET_ERRNO | ENOSYS)
/* Numbers of x32, a third table of x86-64 that few kernels still enable. */
#define FIRST_X32 0x40000000U

static struct sock_filter program[BPF_MAXINSNS];
static struct sock_fprog filter = { 0, program };
static uint32_t stop_answer, other_answer;

static void emit(uint16_t code, uint32_t k, uint8_t yes, uint8_t no)
{
	program[filter.len++] = (struct sock_filter){ code, yes, no, k };
}

static void answer(uint32_t what)
{
	emit(BPF_RET | BPF_K, what, 0, 0);
}

/* Stops if an argument has any of the bits. */
static void stop_if_set(int argument, uint32_t bits)
{
	emit(BPF_LD | BPF_W | BPF_ABS, ARGUMENT(argument), 0, 0);
	emit(BPF_JMP | BPF_JSET | BPF_K, bits, 0, 1);
	answer(stop_answer);
	answer(other_answer);
}

/*
 * Many C libraries implement fstat(3) as this call with an empty path. The descriptor's file was seen when it was
 * opened, so only a path passed nevertheless is missed.
 */
static void pass_fstat(void)
{
	emit(BPF_LD | BPF_W | BPF_ABS, ARGUMENT(3), 0, 0);
	emit(BPF_JMP | BPF_JEQ | BPF_K, AT_EMPTY_PATH, 0, 3);
	emit(BPF_LD | BPF_W | BPF_ABS, ARGUMENT(0), 0, 0);
	emit(BPF_JMP | BPF_JGE | BPF_K, 0x80000000U, 1, 0);
	answer(other_answer);
	answer(stop_answer);
}

/* Stops prctl(2) operations that reduce the rights of the next program. */
static void stop_if_less_rights(void)
{
	emit(BPF_LD | BPF_W | BPF_ABS, ARGUMENT(0), 0, 0);
	emit(BPF_JMP | BPF_JEQ | BPF_K, PR_CAPBSET_DROP, 1, 0);
	emit(BPF_JMP | BPF_JEQ | BPF_K, PR_SET_SECUREBITS, 0, 1);
	answer(stop_answer);
	answer(other_answer);
}

/* Stops sendto(2) with an address. */
static void stop_if_addressed(void)
{
	emit(BPF_LD | BPF_W | BPF_ABS, ARGUMENT(5), 0, 0);
	emit(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1);
	answer(other_answer);
	answer(stop_answer);
}

static bool is_fstat(const struct call *call)
{
	/* newfstatat, and fstatat64 on 32 bits. */
	return call->use == USE_STAT && call->directory == 0 && call->flags == 3 &&
	       (call->numbers[X86_64] == 262 || call->numbers[I386] == 300);
}

static void decide(const struct call *call)
{
	if (call->use == USE_REFUSE)
		answer(UNKNOWN_CALL);
	else if (call->use == USE_CLONE)
		stop_if_set(0, CLONE_UNTRACED | CLONE_NEWNS | CLONE_NEWUSER);
	else if (call->use == USE_LISTENER)
		stop_if_set(1, SECCOMP_FILTER_FLAG_NEW_LISTENER);
	else if (call->use == USE_PRCTL)
		stop_if_less_rights();
	else if (call->use == USE_SEND)
		stop_if_addressed();
	else if (is_fstat(call))
		pass_fstat();
	else if (call->use == USE_MESSAGE && stop_answer == SECCOMP_RET_USER_NOTIF)
		/* The command sends the listener with this call, before anyone can answer. */
		answer(other_answer);
	else
		answer(stop_answer);
}

struct numbered {
	int number;
	const struct call *call;
};

static int by_number(const void *left, const void *right)
{
	return ((const struct numbered *)left)->number - ((const struct numbered *)right)->number;
}

/*
 * Decides by binary search; conditional jumps reach only 255 instructions, so the far half is reached by an
 * unconditional one.
 */
static void search(const struct numbered *numbered, size_t count)
{
	if (count <= 4) {
		for (size_t i = 0; i < count; i++) {
			size_t jump = filter.len;
			emit(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)numbered[i].number, 0, 0);
			decide(numbered[i].call);
			program[jump].jf = (uint8_t)(filter.len - jump - 1);
		}
		answer(other_answer);
		return;
	}
	size_t middle = count / 2;
	emit(BPF_JMP | BPF_JGE | BPF_K, (uint32_t)numbered[middle].number, 1, 0);
	size_t jump = filter.len;
	emit(BPF_JMP | BPF_JA, 0, 0, 0);
	search(numbered + middle, count - middle);
	program[jump].k = (uint32_t)(filter.len - jump - 1);
	search(numbered, middle);
}

static void for_machine(uint32_t machine, int index)
{
	struct numbered numbered[call_count];
	size_t count = 0, jump = filter.len + 1U;

	for (size_t i = 0; i < call_count; i++)
		if (calls[i].numbers[index] >= 0)
			numbered[count++] = (struct numbered){ calls[i].numbers[index], &calls[i] };
	qsort(numbered, count, sizeof(numbered[0]), by_number);

	emit(BPF_JMP | BPF_JEQ | BPF_K, machine, 1, 0);
	emit(BPF_JMP | BPF_JA, 0, 0, 0);
	emit(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offsetof(struct seccomp_data, nr), 0, 0);
	emit(BPF_JMP | BPF_JGE | BPF_K, FIRST_X32, 0, 1);
	answer(UNKNOWN_CALL);
	search(numbered, count);
	program[jump].k = (uint32_t)(filter.len - jump - 1);
}

/* Calls of another machine's table are stopped and counted, since nothing is known about them. */
const struct sock_fprog *make_filter(uint32_t stop, bool all_calls)
{
	stop_answer = stop;
	other_answer = all_calls ? stop : SECCOMP_RET_ALLOW;
	emit(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offsetof(struct seccomp_data, arch), 0, 0);
#if defined(__x86_64__)
	for_machine(AUDIT_ARCH_X86_64, X86_64);
	for_machine(AUDIT_ARCH_I386, I386);
#elif defined(__aarch64__)
	for_machine(AUDIT_ARCH_AARCH64, ARM64);
#else
#error "there is no table of system calls for this machine"
#endif
	answer(stop_answer);
	return &filter;
}
