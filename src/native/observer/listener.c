#include "observer.h"
int listen_to_notifications(const struct options *options) { (void)options; return FAILED; }
