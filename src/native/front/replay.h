/* Repeats a conversation with the writer for a jail of another name. */
#ifndef REPLAY_H
#define REPLAY_H

#include "new_target.h"
#include "script.h"

enum replayed {
	/* The jail is in place. */
	REPLAYED,
	/* Something was different, and the attempt was undone. */
	DIFFERENT,
	/* A signal ended the attempt, which was undone. */
	INTERRUPTED,
	/* The jail is in place, but the disk did not confirm it. */
	UNCONFIRMED,
};

struct replay {
	const struct script *script;
	const struct new_target *target;
	/* Called before the jail appears: returns whether it is as planned. */
	bool (*is_good)(struct replay *replay);
	/* The jail's state directory, and the stamp of its record, by `is_good`. */
	int state;
	char stamp[STAMP_SIZE];
	/* The signal that ended it, or the errno of the last failure. */
	int signal, error;
	/* Whether nothing is left of an attempt that was undone. */
	bool is_clean;
};

/* Uses base_fd and source_fd, which are open. */
enum replayed replay_conversation(struct replay *replay);
/* After REPLAYED: drops signals that came too late to end it, and gives later ones their effect again. */
void forget_ends(void);

#endif
