/* The first mechanism: a tracer woken by the system call filter (ptrace(2), PTRACE_EVENT_SECCOMP). */
#define _GNU_SOURCE
#include "observer.h"

#include <elf.h>
#include <errno.h>
#include <linux/audit.h>
#include <linux/ptrace.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	OPTIONS = PTRACE_O_TRACESECCOMP | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE |
		  PTRACE_O_TRACEEXEC | PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL,
	/* Reported at the end of a system call (PTRACE_O_TRACESYSGOOD). */
	SYSCALL_STOP = SIGTRAP | 0x80,
	/* In milliseconds. */
	LINGER_TICK = 50,
};

/* C libraries differ in the types of ptrace(2), and their header conflicts with the kernel's. */
static long control(long request, pid_t process, unsigned long address, void *data)
{
	return syscall(SYS_ptrace, request, process, address, data);
}

static void go_on(int request, pid_t process, int signal)
{
	/* Fails if the process was killed meanwhile, which is not an error. */
	control(request, process, 0, (void *)(intptr_t)signal);
}

/*
 * Clears CLONE_UNTRACED: an untraced child would get ENOSYS for each call that the filter stops. The flags are the
 * first argument on all machines.
 */
static void keep_traced(pid_t process, uint32_t machine, uint64_t flags)
{
	(void)machine;
	if (!(flags & CLONE_UNTRACED))
		return;
	flags &= ~(uint64_t)CLONE_UNTRACED;
#if defined(__x86_64__)
	size_t at = machine == AUDIT_ARCH_I386 ? offsetof(struct user_regs_struct, rbx) :
						 offsetof(struct user_regs_struct, rdi);
	control(PTRACE_POKEUSR, process, at, (void *)(uintptr_t)flags);
#elif defined(__aarch64__)
	struct user_regs_struct registers;
	struct iovec data = { &registers, sizeof(registers) };
	if (control(PTRACE_GETREGSET, process, NT_PRSTATUS, &data) < 0)
		return;
	registers.regs[0] = flags;
	control(PTRACE_SETREGSET, process, NT_PRSTATUS, &data);
#endif
}

static struct process *process_of(pid_t id)
{
	struct process *process = find_process(id);
	/* The child's first stop is often reported before the parent's event. */
	return process != NULL ? process : add_process(id, NULL);
}

static void note_number(uint32_t machine, uint64_t number)
{
	static uint8_t noted[2][1024];
	char text[24], arch[24];
	uint8_t *place = &noted[machine == AUDIT_ARCH_I386][number % 1024];
	if (*place || number >= 1024)
		return;
	*place = 1;
	snprintf(text, sizeof(text), "%lu", (unsigned long)number);
	snprintf(arch, sizeof(arch), "%lx", (unsigned long)machine);
	report("syscall", arch, "", text);
}

static void at_call(pid_t id, bool all_calls)
{
	struct ptrace_syscall_info info;
	struct process *process = process_of(id);

	counters[STOPS]++;
	if (control(PTRACE_GET_SYSCALL_INFO, id, sizeof(info), &info) <= 0 ||
	    info.op != PTRACE_SYSCALL_INFO_SECCOMP) {
		go_on(PTRACE_CONT, id, 0);
		return;
	}
	const struct call *call = find_call(info.arch, info.seccomp.nr);
	if (all_calls) {
		note_number(info.arch, info.seccomp.nr);
		if (call == NULL) {
			go_on(PTRACE_CONT, id, 0);
			return;
		}
	}
	if (call != NULL && call->use == USE_CLONE)
		keep_traced(id, info.arch, info.seccomp.args[0]);
	uint64_t arguments[6];
	for (size_t i = 0; i < COUNT(arguments); i++)
		arguments[i] = info.seccomp.args[i];
	hold_if_busy(process);
	go_on(begin_call(process, info.arch, info.seccomp.nr, arguments) ? PTRACE_SYSCALL : PTRACE_CONT, id, 0);
}

static void at_end_of_call(pid_t id)
{
	struct ptrace_syscall_info info;
	counters[STOPS]++;
	if (control(PTRACE_GET_SYSCALL_INFO, id, sizeof(info), &info) > 0 && info.op == PTRACE_SYSCALL_INFO_EXIT)
		end_call(process_of(id), info.exit.rval);
	go_on(PTRACE_CONT, id, 0);
}

/* All other threads have ended, and the calling thread now has the process's number. */
static void at_exec(pid_t id)
{
	unsigned long former = (unsigned long)id;
	control(PTRACE_GETEVENTMSG, id, 0, &former);
	struct process *process = process_of(id), *caller = find_process((pid_t)former);

	if (caller != NULL && caller != process) {
		clear_pending(&process->pending);
		process->pending = caller->pending;
		caller->pending = (struct pending){ 0 };
		forget_process((pid_t)former);
	}
	if (!process->has_started) {
		report("start", "found", "", "");
		process->has_started = true;
		process->generation = root_generation() - 1;
		process->program = "";
		current_root(process);
		process->pending.root = process->root;
	}
	process->is_unheld = false;
	end_call(process, 0);
	learn_program(process);
	go_on(PTRACE_CONT, id, 0);
}

static void at_birth(pid_t parent, bool is_thread)
{
	unsigned long child = 0;
	if (control(PTRACE_GETEVENTMSG, parent, 0, &child) == 0 && child != 0) {
		struct process *process = process_of(parent);
		/* With its own mount namespace, it has its own root. */
		if (process->pending.moves_root)
			roots_changed();
		if (find_process((pid_t)child) == NULL)
			add_process((pid_t)child, process);
		place_child((pid_t)child, process);
		if (is_thread) {
			hold_no_more(process);
			hold_no_more(find_process((pid_t)child));
		}
	}
	go_on(process_of(parent)->pending.call != NULL ? PTRACE_SYSCALL : PTRACE_CONT, parent, 0);
}

static bool stops_jobs(int signal)
{
	return signal == SIGSTOP || signal == SIGTSTP || signal == SIGTTIN || signal == SIGTTOU;
}

static void at_job_stop(pid_t id, int signal)
{
	/* A child starts with such a stop, often before its parent's event. */
	if (find_process(id) == NULL)
		place_child(id, NULL);
	go_on(stops_jobs(signal) ? PTRACE_LISTEN : PTRACE_CONT, id, 0);
}

static void at_stop(pid_t id, int status, bool all_calls)
{
	int signal = WSTOPSIG(status), event = status >> 16;
	if (event == PTRACE_EVENT_SECCOMP)
		at_call(id, all_calls);
	else if (signal == SYSCALL_STOP)
		at_end_of_call(id);
	else if (event == PTRACE_EVENT_EXEC)
		at_exec(id);
	else if (event == PTRACE_EVENT_STOP)
		at_job_stop(id, signal);
	else if (event == PTRACE_EVENT_FORK || event == PTRACE_EVENT_VFORK || event == PTRACE_EVENT_CLONE)
		at_birth(id, event == PTRACE_EVENT_CLONE);
	else
		go_on(PTRACE_CONT, id, event != 0 ? 0 : signal);
}

/* A program that failed may have done so because of the file it looked for last. */
static void note_end(pid_t id, int status)
{
	char text[16];
	const struct process *process = find_process(id);
	int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	if (process == NULL || !process->has_started || code == 0)
		return;
	snprintf(text, sizeof(text), "%d", code);
	report("end", text, process->program, "");
}

/*
 * Continues until the command and all its descendants have ended, or the command has and the time for the rest is over.
 * Then closes the report and keeps serving remaining processes without inspecting them, since their calls would fail
 * without a tracer.
 */
static int follow(const struct options *options, pid_t child)
{
	int status;
	struct observation observation = { .result = FAILED };

	for (;;) {
		pid_t id = waitpid(-1, &status, __WALL);
		if (id < 0 && errno != EINTR)
			break;
		if (id < 0 && !observation.has_ended)
			look_at_held();
		if (id > 0 && WIFSTOPPED(status)) {
			if (observation.is_over)
				go_on(stops_jobs(WSTOPSIG(status)) && status >> 16 ? PTRACE_LISTEN : PTRACE_CONT, id,
				      status >> 16 || WSTOPSIG(status) == SYSCALL_STOP ? 0 : WSTOPSIG(status));
			else
				at_stop(id, status, options->all_calls);
		} else if (id > 0) {
			note_end(id, status);
			held_ended(id);
			forget_process(id);
			if (id == child) {
				command_ended(&observation, status, options);
				hold_nothing();
				tick_every(LINGER_TICK);
			}
		}
		end_in_time(&observation);
	}
	return end_of(&observation);
}

int trace(const struct options *options)
{
	const struct sock_fprog *filter = make_filter(SECCOMP_RET_TRACE, options->all_calls);
	struct command command = start_command(options, filter);

	if (command.observed > 0) {
		if (control(PTRACE_SEIZE, command.observed, 0, (void *)(uintptr_t)OPTIONS) < 0)
			refuse_to_trace(command.observed);
		add_process(command.observed, &(struct process){ .program = "" });
		look_at_inherited(command.observed);
		/*
		 * Set only now, since the child would inherit it and then only root could trace it. From here on, no program
		 * can trace the observer, read its memory or take its descriptors (ptrace(2), prctl(2)).
		 */
		if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
			die("protect this process from others");
		release_command(&command, options, filter);
	}
	return follow(options, command.child);
}
