#include "observer.h"

#include <linux/audit.h>

#define CALL(name, x86_64, i386, arm64, use, directory, path, directory2, path2, flags)                \
	{ #name, { x86_64, i386, arm64 }, use, directory, path, directory2, path2, flags },
const struct call calls[] = {
#include "calls.h"
};
const size_t call_count = COUNT(calls);

/* Numbers are below this; those of x32 are far above. */
enum { MOST_NUMBERS = 512 };

static int machine_index(uint32_t machine)
{
	switch (machine) {
	case AUDIT_ARCH_X86_64:
		return X86_64;
	case AUDIT_ARCH_I386:
		return I386;
	case AUDIT_ARCH_AARCH64:
		return ARM64;
	default:
		return -1;
	}
}

const struct call *find_call(uint32_t machine, uint64_t number)
{
	static const struct call *by_number[MACHINES][MOST_NUMBERS];
	static bool is_filled;
	int index = machine_index(machine);

	if (!is_filled) {
		for (size_t i = 0; i < COUNT(calls); i++)
			for (int m = 0; m < MACHINES; m++)
				if (calls[i].numbers[m] >= 0)
					by_number[m][calls[i].numbers[m]] = &calls[i];
		is_filled = true;
	}
	return index < 0 || number >= MOST_NUMBERS ? NULL : by_number[index][number];
}
