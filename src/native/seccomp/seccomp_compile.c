/*
 * seccomp_compile: compiles a list of rules into a binary system call filter with libseccomp, which knows the numbers of
 * all machines. It needs no privileges; the launcher, which has some, only reads its output. The list consists of lines:
 *   default ACTION
 *   arch NAME
 *   rule ACTION SYSCALL [INDEX OPERATOR VALUE VALUE]...
 * in the terms of the OCI runtime specification; ACTION is SCMP_ACT_NAME[:NUMBER].
 */
#include <errno.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MOST_ARGUMENTS = 6 };

static _Noreturn void die(const char *message, const char *word)
{
	fprintf(stderr, "seccomp_compile: %s: %s\n", message, word);
	exit(1);
}

static const struct {
	const char *name;
	uint32_t action;
} actions[] = {
	{ "SCMP_ACT_KILL", SCMP_ACT_KILL_THREAD },
	{ "SCMP_ACT_KILL_THREAD", SCMP_ACT_KILL_THREAD },
	{ "SCMP_ACT_KILL_PROCESS", SCMP_ACT_KILL_PROCESS },
	{ "SCMP_ACT_TRAP", SCMP_ACT_TRAP },
	{ "SCMP_ACT_LOG", SCMP_ACT_LOG },
	{ "SCMP_ACT_ALLOW", SCMP_ACT_ALLOW },
};

static uint32_t action_of(char *word)
{
	char *number = strchr(word, ':');
	unsigned int value = EPERM;
	if (number != NULL) {
		*number = '\0';
		value = (unsigned int)strtoul(number + 1, NULL, 10);
	}
	if (strcmp(word, "SCMP_ACT_ERRNO") == 0)
		return SCMP_ACT_ERRNO(value);
	if (strcmp(word, "SCMP_ACT_TRACE") == 0)
		return SCMP_ACT_TRACE(value);
	for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++)
		if (strcmp(word, actions[i].name) == 0)
			return actions[i].action;
	die("not an action that a filter supports", word);
}

static const struct {
	const char *name;
	enum scmp_compare operator;
} operators[] = {
	{ "SCMP_CMP_NE", SCMP_CMP_NE }, { "SCMP_CMP_LT", SCMP_CMP_LT }, { "SCMP_CMP_LE", SCMP_CMP_LE },
	{ "SCMP_CMP_EQ", SCMP_CMP_EQ }, { "SCMP_CMP_GE", SCMP_CMP_GE }, { "SCMP_CMP_GT", SCMP_CMP_GT },
	{ "SCMP_CMP_MASKED_EQ", SCMP_CMP_MASKED_EQ },
};

static enum scmp_compare operator_of(const char *word)
{
	for (size_t i = 0; i < sizeof(operators) / sizeof(operators[0]); i++)
		if (strcmp(word, operators[i].name) == 0)
			return operators[i].operator;
	die("not an operator", word);
}

static char *next(char **rest)
{
	char *word = strsep(rest, " ");
	return word != NULL && *word != '\0' ? word : NULL;
}

static void add_rule(scmp_filter_ctx context, uint32_t fallback, char *rest)
{
	struct scmp_arg_cmp arguments[MOST_ARGUMENTS];
	unsigned int count = 0;
	char *action_word = next(&rest), *name = next(&rest);
	if (action_word == NULL || name == NULL)
		die("a rule requires an action and a system call", "");
	uint32_t action = action_of(action_word);
	int number = seccomp_syscall_resolve_name(name);
	/* A call unknown to this libseccomp keeps the default action. */
	if (number == __NR_SCMP_ERROR || action == fallback)
		return;
	for (char *index = next(&rest); index != NULL; index = next(&rest)) {
		const char *operator_word = next(&rest), *first = next(&rest), *second = next(&rest);
		if (count == MOST_ARGUMENTS || second == NULL)
			die("arguments are INDEX OPERATOR VALUE VALUE", name);
		arguments[count++] = (struct scmp_arg_cmp){
			(unsigned int)strtoul(index, NULL, 10), operator_of(operator_word),
			strtoull(first, NULL, 10), strtoull(second, NULL, 10),
		};
	}
	int result = seccomp_rule_add_array(context, action, number, count, arguments);
	/* For example a call that only some of the machines have. */
	if (result < 0 && result != -EDOM)
		die("libseccomp refused the rule", name);
}

int main(void)
{
	char *line = NULL;
	size_t size = 0;
	scmp_filter_ctx context = NULL;
	uint32_t fallback = 0;

	while (getline(&line, &size, stdin) > 0) {
		char *rest = line;
		line[strcspn(line, "\n")] = '\0';
		const char *kind = next(&rest);
		if (kind == NULL)
			continue;
		if (strcmp(kind, "default") == 0 && context == NULL && rest != NULL) {
			fallback = action_of(rest);
			context = seccomp_init(fallback);
			continue;
		}
		if (context == NULL)
			die("the first line must be the default", line);
		if (strcmp(kind, "rule") == 0) {
			add_rule(context, fallback, rest);
		} else if (strcmp(kind, "arch") == 0) {
			uint32_t arch = seccomp_arch_resolve_name(rest);
			int result = arch == 0 ? -EINVAL : seccomp_arch_add(context, arch);
			if (result < 0 && result != -EEXIST)
				die("libseccomp does not know the machine", rest);
		} else {
			die("unknown kind of line", kind);
		}
	}
	if (context == NULL || seccomp_export_bpf(context, STDOUT_FILENO) < 0)
		die("the filter cannot be written", "");
	seccomp_release(context);
	free(line);
	return 0;
}
