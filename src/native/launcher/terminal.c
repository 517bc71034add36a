/* A new terminal for the jail, and the relay between it and the launcher's standard streams. */
#define _GNU_SOURCE
#include "launcher.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <termios.h>
#include <unistd.h>

/* Makes the terminal the jail's /dev/console. */
static void make_console(int master)
{
	char path[32];
	int number;
	if (ioctl(master, TIOCGPTN, &number) < 0)
		die_errno("name the new terminal", NULL);
	snprintf(path, sizeof(path), "/dev/pts/%d", number);
	int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC), tree = clone_tree(AT_FDCWD, path);
	if (root < 0 || tree < 0)
		die_errno("copy the mount of", path);
	bind_console(root, tree);
	close(root);
}

int open_pty(int channel, bool has_console)
{
	const char *path = "/dev/pts/ptmx";
	struct winsize size;
	struct stat stat;
	int unlocked = 0;

	log_step("opening a new terminal");
	/* When joining a jail, the file may be anything. */
	int master = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
	if (master >= 0 && (fstat(master, &stat) < 0 || !S_ISCHR(stat.st_mode) || stat.st_rdev != makedev(5, 2)))
		die("not a terminal multiplexer", path);
	if (master < 0 || ioctl(master, TIOCSPTLCK, &unlocked) < 0)
		die_errno("open a new terminal at", path);
	int terminal = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (terminal < 0)
		die_errno("open the other end of the new terminal at", path);
	for (int fd = 0; fd < 3; fd++)
		if (ioctl(fd, TIOCGWINSZ, &size) == 0 && ioctl(terminal, TIOCSWINSZ, &size) == 0)
			break;
	if (has_console)
		make_console(master);
	send_descriptor(channel, master);
	close(master);
	return terminal;
}

void use_terminal(int terminal)
{
	for (int fd = 0; fd < 3; fd++)
		if (dup2(terminal, fd) < 0)
			die_errno("take the new terminal", NULL);
}

void take_terminal(int terminal)
{
	if (setsid() < 0)
		die_errno("start a session", NULL);
	if (ioctl(terminal, TIOCSCTTY, 0) < 0)
		die_errno("take the new terminal", NULL);
	use_terminal(terminal);
}

/* Bytes transferred in one direction. */
struct pipe {
	int from, to;
	size_t begin, end;
	bool ended;
	/* At most what a ready pipe accepts at once, so that write(2) does not block; plus the end of file. */
	char bytes[PIPE_BUF + 2];
	char last;
};

static struct pipe *in, *out;
static struct termios before;
static bool was_terminal;
static int terminal_master = -1;

void begin_relay(int master)
{
	struct termios raw;
	terminal_master = master;
	in = allocate(sizeof(*in));
	out = allocate(sizeof(*out));
	*in = (struct pipe){ .from = STDIN_FILENO, .to = master };
	*out = (struct pipe){ .from = master, .to = STDOUT_FILENO };
	if (fcntl(master, F_SETFL, O_NONBLOCK) < 0)
		die_errno("set up the new terminal", NULL);
	/* When nobody reads the output any more, hang up the new terminal and restore the caller's. */
	signal(SIGPIPE, SIG_IGN);
	was_terminal = tcgetattr(STDIN_FILENO, &before) == 0;
	if (!was_terminal)
		return;
	/* Keys are passed on unprocessed; the new terminal interprets them instead of the caller's. */
	raw = before;
	cfmakeraw(&raw);
	if (tcsetattr(STDIN_FILENO, TCSADRAIN, &raw) < 0)
		die_errno("set up the terminal of the caller", NULL);
}

static bool is_empty(const struct pipe *pipe)
{
	return pipe->begin == pipe->end;
}

/* poll(2) ignores negative descriptors. */
bool prepare_relay(struct pollfd *polls, bool is_over)
{
	bool shows = !is_empty(out);
	polls[0] = (struct pollfd){ is_empty(in) && !in->ended && !is_over ? in->from : -1, POLLIN, 0 };
	polls[1] = (struct pollfd){ is_empty(in) || is_over ? -1 : in->to, POLLOUT, 0 };
	polls[2] = (struct pollfd){ shows || out->ended ? -1 : out->from, POLLIN, 0 };
	polls[3] = (struct pollfd){ shows ? out->to : -1, POLLOUT, 0 };
	return shows || !out->ended;
}

static void hang_up(void)
{
	close(terminal_master);
	terminal_master = -1;
	*in = *out = (struct pipe){ .from = -1, .to = -1, .ended = true };
}

/*
 * Signals end of file to a terminal (termios(3), VEOF): within a line, the first only ends the line, and the second is
 * the end of file.
 */
static void type_end(struct pipe *pipe)
{
	if (pipe->last != '\0' && pipe->last != '\n')
		pipe->bytes[pipe->end++] = 4;
	pipe->bytes[pipe->end++] = 4;
}

static void fill(struct pipe *pipe)
{
	ssize_t got = read(pipe->from, pipe->bytes, PIPE_BUF);
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	pipe->begin = 0;
	pipe->end = got > 0 ? (size_t)got : 0;
	/* A terminal whose slave nobody has open returns EIO. */
	pipe->ended = got <= 0;
	if (got > 0)
		pipe->last = pipe->bytes[got - 1];
	else if (pipe == in && !was_terminal)
		type_end(pipe);
}

static void drain(struct pipe *pipe)
{
	ssize_t put = write(pipe->to, pipe->bytes + pipe->begin, pipe->end - pipe->begin);
	if (put >= 0)
		pipe->begin += (size_t)put;
	else if (errno == EINTR || errno == EAGAIN)
		return;
	else if (pipe == out)
		hang_up();
	else
		pipe->begin = pipe->end;
}

void carry(const struct pollfd *polls)
{
	if (polls[0].revents)
		fill(in);
	if (polls[1].revents)
		drain(in);
	if (polls[2].revents)
		fill(out);
	if (polls[3].revents)
		drain(out);
}

void resize_terminal(void)
{
	struct winsize size;
	for (int fd = 0; fd < 3 && terminal_master >= 0; fd++)
		if (ioctl(fd, TIOCGWINSZ, &size) == 0 && ioctl(terminal_master, TIOCSWINSZ, &size) == 0)
			break;
}

/* Restores the caller's terminal. */
void end_relay(void)
{
	if (was_terminal)
		tcsetattr(STDIN_FILENO, TCSADRAIN, &before);
}
