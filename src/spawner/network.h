/* network: sandboxes' own links to the outside, behind our filter (R61).
 *
 * A process of its own does the work, so that the spawner never waits for the kernel's one lock
 * around all links.  One network per spawner; nothing here is for several threads. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "wire/spawn.h"

#define NETWORK_TEXT 160

/* Removes what a killed predecessor of this instance left, loads the filter and starts the network
 * process; takes some 50 ms.  `base_name` is "dunlin-<16 hexadecimal digits>".  On -1 there is no
 * network: every network_attach() answers with this error's text until an open succeeds.  May be
 * called again after network_read() has returned -1; that ends the links that still are. */
int network_open(const struct spawn_config *config, const char *base_name, struct err *e);

/* Becomes readable when an answer is there; -1 while there is no network. */
int network_fd(void);

/* Asks for a link in a sandbox: eth0 with an address and a default route.  The answer comes
 * through network_read(); until then nothing may run that relies on it.  The descriptor stays the
 * caller's.  -1 when it cannot be asked. */
int network_attach(uint32_t slot, int netns_fd, struct err *e);

/* Takes one answer: 1 with the slot and 0 or an errno, for which the text says what failed; 0 when
 * there is none; -1 once the network process is gone and every slot that waited has had its
 * answer (network_fd() has been closed then). */
int network_read(uint32_t *ret_slot, int *ret_error, char text[static NETWORK_TEXT]);

/* The sandbox has ended or will not use its link: an answer that is under way is dropped.  The
 * link goes with its network namespace. */
void network_detach(uint32_t slot);

/* Removes all links and the filter, and waits for that. */
void network_close(void);
