/*
 * A network that slirp4netns provides for a jail (slirp4netns(1)), as launcher/outgoing-network.ts starts it. The launcher
 * reports its first process, waits until there is a network, and reads the jail's resolv.conf, by descriptors.
 */
#define _GNU_SOURCE
#include "run.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define HELPER "slirp4netns"
#define RESOLVER "nameserver 10.0.2.3\n"

/* The launcher's descriptors, after the standard streams. */
enum { INFO = 3, BLOCK = 4, RESOLVER_FD = 5 };
/* In milliseconds: how long the helper may take to begin and to end, and how often to look. */
enum { PATIENCE = 10000, LAST_PATIENCE = 5000, INTERVAL = 1 };

bool has_network_helper(void)
{
	const char *path = getenv("PATH");
	char file[PATH_MAX];
	struct stat stat_;

	/* The launcher would look for it from another working directory. */
	while (next_on_path(&path, HELPER, file)) {
		if (*file == '/' && stat(file, &stat_) == 0)
			return true;
	}
	return false;
}

void add_network_mount(struct list *list)
{
	add(list, "--bind-data");
	add(list, "5:/etc/resolv.conf:mode=0644,ro");
}

void add_network_descriptors(struct list *list)
{
	add(list, "--info-fd");
	add(list, "3");
	add(list, "--block-fd");
	add(list, "4");
}

/* Opens a pipe above the launcher's descriptors. */
static void open_pipe(int ends[2])
{
	int low[2];

	if (pipe2(low, O_CLOEXEC) < 0)
		fail(125, "pipe: %s", strerror(errno));
	for (int i = 0; i < 2; i++) {
		ends[i] = fcntl(low[i], F_DUPFD_CLOEXEC, RESOLVER_FD + 1);
		if (ends[i] < 0)
			fail(125, "pipe: %s", strerror(errno));
		close(low[i]);
	}
}

void open_network(struct network *network)
{
	int info[2], block[2], resolver[2];

	open_pipe(info);
	open_pipe(block);
	open_pipe(resolver);
	if (write(resolver[1], RESOLVER, strlen(RESOLVER)) != (ssize_t)strlen(RESOLVER))
		fail(125, "pipe: %s", strerror(errno));
	close(resolver[1]);
	*network = (struct network){
		.info = info[0], .block = block[1], .said = -1,
		.theirs = { info[1], block[0], resolver[0] },
	};
}

/* In the child: sets no variable, since its parent shares them. */
void give_network(const struct network *network)
{
	for (int i = 0; i < 3; i++)
		dup2(network->theirs[i], INFO + i);
}

void close_network(const struct network *network)
{
	for (int i = 0; i < 3; i++)
		close(network->theirs[i]);
}

/* Starts the helper for a process; it ends with this process, however that ends. */
static void start_helper(struct network *network, const char *launcher, const char *process)
{
	const char *const words[] = {
		launcher,	 "--die-with-parent", "--env",		       "PATH",	"--env", "HOME", "--", HELPER,
		"--configure", "--mtu=65520",	      "--disable-host-loopback", process, "tap0",	 NULL,
	};
	int said[2], nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
	volatile int error = 0;

	open_pipe(said);
	fcntl(said[0], F_SETFL, O_NONBLOCK);
	pid_t helper = vfork();
	if (helper == 0) {
		restore_signals();
		dup2(nothing, STDIN_FILENO);
		dup2(said[1], STDOUT_FILENO);
		dup2(said[1], STDERR_FILENO);
		execv(launcher, (char *const *)words);
		error = errno;
		_exit(125);
	}
	if (helper < 0 || error != 0)
		fail(125, "%s: %s", launcher, strerror(helper < 0 ? errno : error));
	close(said[1]);
	close(nothing);
	network->helper = helper;
	network->said = said[0];
}

/* Keeps the end of what the helper says; returns false at its end. */
static bool hear(struct network *network)
{
	char bytes[sizeof(network->text)];
	ssize_t got;

	while ((got = read(network->said, bytes, sizeof(bytes) - 1)) > 0) {
		size_t room = sizeof(network->text) - 1, kept = network->length;
		if (kept + (size_t)got > room)
			kept = room - (size_t)got;
		memmove(network->text, network->text + network->length - kept, kept);
		memcpy(network->text + kept, bytes, (size_t)got);
		network->length = kept + (size_t)got;
	}
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return true;
	close(network->said);
	network->said = -1;
	return false;
}

void hear_network(struct network *network)
{
	if (network->said >= 0)
		hear(network);
}

static long milliseconds(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (long)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

/* Kills the helper if it does not end by itself, as execa does. */
void end_network(struct network *network)
{
	if (network->helper <= 0)
		return;
	kill(network->helper, SIGTERM);
	for (long end = milliseconds() + LAST_PATIENCE; waitpid(network->helper, NULL, WNOHANG) == 0;) {
		if (milliseconds() > end) {
			kill(network->helper, SIGKILL);
			waitpid(network->helper, NULL, 0);
			break;
		}
		/* A helper with a full pipe does not end. */
		hear_network(network);
		poll(NULL, 0, INTERVAL);
	}
	network->helper = 0;
}

/* Whether a line of /proc/PID/net/ipv6_route is a default route by another interface than the loopback. */
static bool is_default_6(const char *line)
{
	const char *name = strrchr(line, ' ');

	return strspn(line, "0") >= 32 && strncmp(line + 32, " 00 ", 4) == 0 && name != NULL && name[1] != '\0' &&
	       strncmp(name + 1, "lo", 2) != 0;
}

/* Whether a line of /proc/PID/net/route is a default route. */
static bool is_default_4(const char *line)
{
	size_t length = strcspn(line, "\t");

	return length > 0 && strncmp(line + length, "\t00000000\t", 10) == 0;
}

static bool has_line(const char *process, const char *name, bool (*is_wanted)(const char *line))
{
	char path[64], line[512];
	bool found = false;

	snprintf(path, sizeof(path), "/proc/%s/net/%s", process, name);
	FILE *file = fopen(path, "re");
	while (file != NULL && !found && fgets(line, sizeof(line), file) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		found = is_wanted(line);
	}
	if (file != NULL)
		fclose(file);
	return found;
}

static bool has_route(const char *process)
{
	return has_line(process, "route", is_default_4) || has_line(process, "ipv6_route", is_default_6);
}

static void end_launch(struct network *network, pid_t child)
{
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	end_network(network);
}

/* Prints the last line of the helper, with control characters as \xNN (text/format.ts), and exits. */
static _Noreturn void fail_with_helper(struct network *network, pid_t child)
{
	char shown[4 * sizeof(network->text)] = "no answer", *end = shown;

	end_launch(network, child);
	hear_network(network);
	while (network->length > 0 && strchr(" \n\r\t", network->text[network->length - 1]) != NULL)
		network->length--;
	network->text[network->length] = '\0';
	const char *line = strrchr(network->text, '\n');
	for (line = line == NULL ? network->text : line + 1; *line != '\0'; line++) {
		unsigned char byte = (unsigned char)*line;
		end += byte < ' ' || byte == 0x7f ? sprintf(end, "\\x%02x", byte) : sprintf(end, "%c", byte);
	}
	fail(125, HELPER ": gives the jail no network: %s: try --network pasta, or host", shown);
}

/* Reads the line about the first process; returns false if the launcher has ended without one. */
static bool read_process(struct network *network, int signals, pid_t child, char process[24])
{
	static const char key[] = "\"child-pid\":";
	char line[1024] = "";
	size_t length = 0;

	while (strchr(line, '\n') == NULL && length + 1 < sizeof(line)) {
		struct pollfd polls[] = { { network->info, POLLIN, 0 }, { signals, POLLIN, 0 } };
		if (poll(polls, 2, -1) < 0)
			continue;
		if (polls[1].revents != 0)
			take_signals(signals, child);
		if (polls[0].revents == 0)
			continue;
		ssize_t got = read(network->info, line + length, sizeof(line) - 1 - length);
		if (got <= 0)
			break;
		length += (size_t)got;
		line[length] = '\0';
	}
	close(network->info);
	const char *found = strstr(line, key);
	if (found == NULL)
		return false;
	found += strlen(key);
	found += strspn(found, " ");
	size_t digits = strspn(found, "0123456789");
	snprintf(process, 24, "%.*s", digits > 20 ? 20 : (int)digits, found);
	return digits > 0;
}

/* Returns whether a child has ended, and leaves its status to be read. */
static bool has_ended(pid_t child)
{
	siginfo_t info = { .si_pid = 0 };

	return waitid(P_PID, (id_t)child, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == child;
}

void make_network(struct network *network, const char *launcher, int signals, pid_t child)
{
	char process[24];

	if (read_process(network, signals, child, process)) {
		long end = milliseconds() + PATIENCE;
		bool is_running = true;
		int ended_by = 0;
		start_helper(network, launcher, process);
		/* Without its launcher, the jail is gone, and the launcher's status says why. */
		while (!has_route(process) && !has_ended(child)) {
			if (!is_running || milliseconds() > end)
				fail_with_helper(network, child);
			struct pollfd polls[] = { { signals, POLLIN, 0 }, { network->said, POLLIN, 0 } };
			poll(polls, 2, INTERVAL);
			if (polls[0].revents != 0)
				ended_by = take_signals(signals, child);
			/* The command has not started, and the launcher waits as well. */
			if (ended_by != 0) {
				end_launch(network, child);
				exit(128 + ended_by);
			}
			if (polls[1].revents != 0)
				is_running = hear(network);
		}
	}
	/* The launcher may have ended. */
	signal(SIGPIPE, SIG_IGN);
	if (write(network->block, "\n", 1) < 0 && errno != EPIPE)
		fail(125, "pipe: %s", strerror(errno));
	close(network->block);
}
