/* Rights and user of the jail's processes (capabilities(7), credentials(7)). */
#define _GNU_SOURCE
#include "launcher.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/keyctl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Indexed by number. */
static const char *const names[] = {
	"chown",	"dac_override", "dac_read_search", "fowner",	"fsetid",
	"kill",		"setgid",	"setuid",	   "setpcap",	"linux_immutable",
	"net_bind_service", "net_broadcast", "net_admin",  "net_raw",	"ipc_lock",
	"ipc_owner",	"sys_module",	"sys_rawio",	   "sys_chroot", "sys_ptrace",
	"sys_pacct",	"sys_admin",	"sys_boot",	   "sys_nice",	"sys_resource",
	"sys_time",	"sys_tty_config", "mknod",	   "lease",	"audit_write",
	"audit_control", "setfcap",	"mac_override",	   "mac_admin", "syslog",
	"wake_alarm",	"block_suspend", "audit_read",	   "perfmon",	"bpf",
	"checkpoint_restore",
};

#define BIT(number) ((caps)1 << (number))

static int capability(const char *name, size_t length)
{
	if (length > 4 && strncasecmp(name, "cap_", 4) == 0)
		name += 4, length -= 4;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strlen(names[i]) == length && strncasecmp(names[i], name, length) == 0)
			return (int)i;
	return -1;
}

/* Parses comma-separated names, with or without cap_, in any case; an empty text or "none" is the empty set. */
caps parse_caps(const char *text)
{
	caps set = 0;
	if (strcmp(text, "none") == 0)
		return 0;
	for (const char *name = text; *name != '\0';) {
		size_t length = strcspn(name, ",");
		int number = capability(name, length);
		if (number < 0)
			die("no such capability", name);
		set |= BIT(number);
		name += length + (name[length] == ',');
	}
	return set;
}

static caps permitted(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];
	if (syscall(SYS_capget, &header, data) < 0)
		die_errno("get the capabilities", NULL);
	return data[0].permitted | (caps)data[1].permitted << 32;
}

static void set_caps(caps set, caps inheritable)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];
	for (int i = 0; i < 2; i++) {
		data[i].permitted = data[i].effective = (uint32_t)(set >> 32 * i);
		data[i].inheritable = (uint32_t)(inheritable >> 32 * i);
	}
	if (syscall(SYS_capset, &header, data) < 0)
		die_errno("set the capabilities", NULL);
}

/* Programs executed from now on can gain no other capabilities, whoever executes them. */
static void drop_from_bounding_set(caps kept)
{
	for (unsigned long number = 0; number < 64; number++) {
		if ((kept & BIT(number)) || prctl(PR_CAPBSET_DROP, number, 0, 0, 0) == 0)
			continue;
		/* The kernel has no further capabilities. */
		if (errno == EINVAL)
			break;
		die_errno("drop capabilities from the bounding set", NULL);
	}
}

static void make_ambient(caps set)
{
	for (unsigned long number = 0; number < 64; number++)
		if ((set & BIT(number)) && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, number, 0, 0) < 0)
			die_errno("keep the capability", names[number]);
}

/* Without no_new_privs, installing a filter requires CAP_SYS_ADMIN (seccomp(2)), and so does Landlock. */
static bool installs_as_admin(const struct options *options)
{
	return (has_filter() || options->observed || options->landlock != NULL) && !options->no_new_privs;
}

/* The final sets, and whether others are kept until then. */
static struct {
	bool is_due;
	caps permitted, inheritable;
} last;

static void become_user(const struct options *options, const struct identity *identity)
{
	gid_t groups[64];
	size_t count = 0;
	for (const char *text = options->groups; text != NULL && *text != '\0';) {
		char number[16];
		size_t length = strcspn(text, ",");
		snprintf(number, sizeof(number), "%.*s", (int)length, text);
		long long gid = parse_number(number, 10);
		if (gid < 0 || gid >= 4294967295LL || count == sizeof(groups) / sizeof(groups[0]))
			die("--groups takes GID,..., not", options->groups);
		groups[count++] = (gid_t)gid;
		text += length + (text[length] == ',');
	}
	/* Without privileges outside, a user namespace cannot drop groups (user_namespaces(7)). */
	bool may_fail = count == 0 && (options->new_user || options->join != NULL || options->joined.count > 0);
	if (setgroups(count, groups) < 0 && !(errno == EPERM && may_fail)) {
		bool denied = errno == EPERM && (permitted() & BIT(CAP_SETGID)) != 0;
		die_advised("change the supplementary groups", NULL,
			    denied ? "the user namespace here denies it, as that of unshare --map-root-user does: make another one (--userns; of jailbuild run --userns root)" :
				     NULL);
	}
	if (options->user == NULL)
		return;
	log_step("becoming user %ld and group %ld", (long)identity->uid, (long)identity->gid);
	if (prctl(PR_SET_KEEPCAPS, options->ambient != 0 || installs_as_admin(options), 0, 0, 0) < 0)
		die_errno("keep capabilities", NULL);
	/* EINVAL: the number is not mapped in the user namespace. */
	const char *advice = "it is not in the user namespace: map it with --uid-map or --gid-map (jailbuild run: --map-auto)";
	if (setresgid(identity->gid, identity->gid, identity->gid) < 0)
		die_advised("become the group of the user", options->user, errno == EINVAL ? advice : NULL);
	if (setresuid(identity->uid, identity->uid, identity->uid) < 0)
		die_advised("become the user", options->user, errno == EINVAL ? advice : NULL);
	/* The kernel clears the setting when the user changes. */
	if (!options->detach && prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		die_errno("tie the command to its parent", NULL);
}

void give_up_rights(const struct options *options, const struct identity *identity)
{
	caps ambient = options->limit_caps ? options->ambient & options->caps & permitted() : 0;
	if (options->limit_caps) {
		log_step("dropping capabilities");
		drop_from_bounding_set(options->caps);
	}
	if (options->limit_caps || options->user != NULL)
		become_user(options, identity);
	bool loses_all = options->user != NULL && geteuid() != 0;
	if (options->limit_caps || (loses_all && installs_as_admin(options))) {
		caps more = installs_as_admin(options) ? permitted() & BIT(CAP_SYS_ADMIN) : 0;
		last.permitted = geteuid() == 0 ? options->caps & permitted() : ambient;
		last.inheritable = ambient;
		last.is_due = more != 0;
		set_caps(last.permitted | more, ambient);
		make_ambient(ambient);
	}
	if (options->no_new_privs) {
		log_step("setting no_new_privs");
		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
			die_errno("set no_new_privs", NULL);
	}
}

void give_up_last_rights(void)
{
	install_observation();
	install_filters();
	if (last.is_due)
		set_caps(last.permitted, last.inheritable);
}

/* The first process only needs to signal another, which may belong to another user. */
void keep_only_kill(void)
{
	set_caps(permitted() & BIT(CAP_KILL), 0);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		die_errno("set no_new_privs", NULL);
}

/* The caller's session keyring contains keys of the outside (keyrings(7)). */
void leave_keyring(void)
{
	log_step("joining a new session keyring");
	if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) < 0 && errno != ENOSYS)
		die_errno("join a new session keyring", NULL);
}

static const struct {
	const char *name;
	int resource;
} resources[] = {
	{ "as", RLIMIT_AS },	     { "core", RLIMIT_CORE },	{ "cpu", RLIMIT_CPU },
	{ "data", RLIMIT_DATA },     { "fsize", RLIMIT_FSIZE }, { "locks", RLIMIT_LOCKS },
	{ "memlock", RLIMIT_MEMLOCK }, { "msgqueue", RLIMIT_MSGQUEUE }, { "nice", RLIMIT_NICE },
	{ "nofile", RLIMIT_NOFILE }, { "nproc", RLIMIT_NPROC }, { "rss", RLIMIT_RSS },
	{ "rtprio", RLIMIT_RTPRIO }, { "rttime", RLIMIT_RTTIME }, { "sigpending", RLIMIT_SIGPENDING },
	{ "stack", RLIMIT_STACK },
};

static bool parse_limit(const char *text, rlim_t *limit)
{
	if (strcmp(text, "unlimited") == 0) {
		*limit = RLIM_INFINITY;
		return true;
	}
	long long number = parse_number(text, 10);
	*limit = (rlim_t)number;
	return number >= 0;
}

static void set_rlimit(const char *text)
{
	char copy[96];
	struct rlimit limit;
	if (strlen(text) >= sizeof(copy))
		die("--rlimit takes NAME=SOFT[:HARD], not", text);
	char *hard = strcpy(copy, text);
	const char *name = strsep(&hard, "=");
	const char *soft = strsep(&hard, ":");
	if (soft == NULL || !parse_limit(soft, &limit.rlim_cur) ||
	    !parse_limit(hard != NULL ? hard : soft, &limit.rlim_max))
		die("--rlimit takes NAME=SOFT[:HARD], not", text);
	for (size_t i = 0; i < sizeof(resources) / sizeof(resources[0]); i++) {
		if (strcmp(resources[i].name, name) != 0)
			continue;
		log_step("limiting %s", text);
		if (setrlimit(resources[i].resource, &limit) < 0)
			die_errno("set the limit", text);
		return;
	}
	die("unknown resource for --rlimit", text);
}

void set_rlimits(const struct list *limits)
{
	for (size_t i = 0; i < limits->count; i++)
		set_rlimit(limits->items[i]);
}
