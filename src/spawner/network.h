/* network: sandboxes' own links to the outside, behind our filter (R61).
 *
 * A process of its own does the work, so that the spawner never waits for the kernel's one lock
 * around all links.  It is started when the first sandbox asks, and again when it has died; until
 * then nothing on the host is changed.  One network per spawner, for one thread. */
#pragma once

#include <stdint.h>

#include "base/err.h"
#include "wire/spawn.h"

#define NETWORK_TEXT 160

/* Reads the configuration, and removes what a killed predecessor of this instance left.
 * `base_name` is "dunlin-<16 hexadecimal digits>".  -1 when there can be no network: every
 * network_attach() then fails with the same text. */
int network_open(const struct spawn_config *config, const char *base_name, struct err *e);

/* Becomes readable when an answer is there.  The same one from open to close; -1 before. */
int network_fd(void);

/* Asks for a link in a sandbox: eth0 with an address and a default route.  When the namespace is
 * the host's own (a tool's), our API is closed to it instead.  The answer comes
 * through network_read(), usually within a few milliseconds; until then nothing may run that
 * relies on it.  The descriptor stays the caller's.  -1 when it cannot be asked. */
int network_attach(uint32_t slot, int netns_fd, struct err *e);

/* Takes one answer: 1 with the slot and 0 or an errno, for which the text says what failed and what
 * enables it; 0 when there is none now.  Every slot that asked gets one, unless it is detached. */
int network_read(uint32_t *ret_slot, int *ret_error, char text[static NETWORK_TEXT]);

/* The sandbox has ended or will not use its link: an answer that is under way is dropped.  The
 * link goes with its network namespace. */
void network_detach(uint32_t slot);

/* Removes all links and the filter, and waits for that. */
void network_close(void);
