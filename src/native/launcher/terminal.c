/* A new terminal for the jail, and what carries bytes between it and our own standard streams. */
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

/* As its /dev/console the jail has this terminal. */
static void make_console(int master)
{
	char path[32];
	int number;
	if (ioctl(master, TIOCGPTN, &number) < 0)
		die_errno("name the new terminal", NULL);
	snprintf(path, sizeof(path), "/dev/pts/%d", number);
	int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC), tree = clone_tree(AT_FDCWD, path);
	if (root < 0 || tree < 0)
		die_errno("take the mount of", path);
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
	/* In a jail that is entered it may be anything. */
	int master = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
	if (master >= 0 && (fstat(master, &stat) < 0 || !S_ISCHR(stat.st_mode) || stat.st_rdev != makedev(5, 2)))
		die("this is no multiplexer of terminals", path);
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
		die_errno("begin a session", NULL);
	if (ioctl(terminal, TIOCSCTTY, 0) < 0)
		die_errno("take the new terminal", NULL);
	use_terminal(terminal);
}

/* Bytes on their way in one direction. */
struct pipe {
	int from, to;
	size_t begin, end;
	bool ended;
	/* No more than a pipe that is ready takes at once, so that nothing waits in write(2); and an end. */
	char bytes[PIPE_BUF + 2];
	char last;
};

static struct pipe in, out;
static struct termios before;
static bool was_terminal;
static int terminal_master = -1;

void begin_relay(int master)
{
	struct termios raw;
	terminal_master = master;
	in = (struct pipe){ .from = STDIN_FILENO, .to = master };
	out = (struct pipe){ .from = master, .to = STDOUT_FILENO };
	if (fcntl(master, F_SETFL, O_NONBLOCK) < 0)
		die_errno("set up the new terminal", NULL);
	/* Where nobody reads the output any more, the new terminal is hung up, and ours given back. */
	signal(SIGPIPE, SIG_IGN);
	was_terminal = tcgetattr(STDIN_FILENO, &before) == 0;
	if (!was_terminal)
		return;
	/* Keys go to the new terminal as they are, which makes of them what ours else would. */
	raw = before;
	cfmakeraw(&raw);
	if (tcsetattr(STDIN_FILENO, TCSADRAIN, &raw) < 0)
		die_errno("set up our terminal", NULL);
}

static bool is_empty(const struct pipe *pipe)
{
	return pipe->begin == pipe->end;
}

/* A negative descriptor is one that poll(2) leaves alone. */
bool prepare_relay(struct pollfd *polls, bool is_over)
{
	bool shows = !is_empty(&out);
	polls[0] = (struct pollfd){ is_empty(&in) && !in.ended && !is_over ? in.from : -1, POLLIN, 0 };
	polls[1] = (struct pollfd){ is_empty(&in) || is_over ? -1 : in.to, POLLOUT, 0 };
	polls[2] = (struct pollfd){ shows || out.ended ? -1 : out.from, POLLIN, 0 };
	polls[3] = (struct pollfd){ shows ? out.to : -1, POLLOUT, 0 };
	return shows || !out.ended;
}

static void hang_up(void)
{
	close(terminal_master);
	terminal_master = -1;
	in = out = (struct pipe){ .from = -1, .to = -1, .ended = true };
}

/*
 * What ends a file, said to a terminal (termios(3), VEOF): in the midst of a line the first only ends
 * that, and the second is the end.
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
	/* A terminal whose other end nobody has open gives EIO. */
	pipe->ended = got <= 0;
	if (got > 0)
		pipe->last = pipe->bytes[got - 1];
	else if (pipe == &in && !was_terminal)
		type_end(pipe);
}

static void drain(struct pipe *pipe)
{
	ssize_t put = write(pipe->to, pipe->bytes + pipe->begin, pipe->end - pipe->begin);
	if (put >= 0)
		pipe->begin += (size_t)put;
	else if (errno == EINTR || errno == EAGAIN)
		return;
	else if (pipe == &out)
		hang_up();
	else
		pipe->begin = pipe->end;
}

void carry(const struct pollfd *polls)
{
	if (polls[0].revents)
		fill(&in);
	if (polls[1].revents)
		drain(&in);
	if (polls[2].revents)
		fill(&out);
	if (polls[3].revents)
		drain(&out);
}

void resize_terminal(void)
{
	struct winsize size;
	for (int fd = 0; fd < 3 && terminal_master >= 0; fd++)
		if (ioctl(fd, TIOCGWINSZ, &size) == 0 && ioctl(terminal_master, TIOCSWINSZ, &size) == 0)
			break;
}

/* Gives our terminal back as it was. */
void end_relay(void)
{
	if (was_terminal)
		tcsetattr(STDIN_FILENO, TCSADRAIN, &before);
}
