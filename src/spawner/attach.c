/* attach: asks the network process for links and passes its answers on.
 *
 * Runs in the spawner, as root.  A sandbox is named by its pidfd only, so a link can never go to a
 * process that has taken its number. */
#include "spawner/attach.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "spawner/network.h"
#include "spawner/ops.h"
#include "spawner/pidfd.h"

void attach_open(struct spawner *s)
{
    struct err e = {0};

    if (s->config.network == SPAWN_NETWORK_NONE)
        return;
    if (network_open(&s->config, s->base, &e) < 0 ||
        spawner_watch(s, network_fd(), EVENT_NETWORK, 0, &e) < 0)
        spawner_say("%s", e.text);
}

/* The one reply to a start. */
static int reply_to_start(struct spawner *s, uint32_t number, int error, const char *text)
{
    struct spawn_reply reply = {.op = SPAWN_START,
                                .slot = number,
                                .error = error,
                                .cgroup = s->cgroups->version,
                                .nest = s->slots[number].nest};

    s->slots[number].starting = false;
    snprintf(reply.text, sizeof reply.text, "%s", text);
    return ops_answer(s, &reply);
}

static int ask(struct spawner *s, uint32_t number)
{
    struct err e = {0};
    _cleanup_fd_ int netns = pidfd_open_namespace(s->slots[number].pidfd, "net", &e);

    if (netns >= 0 && network_attach(number, netns, &e) == 0)
        return 0;
    return reply_to_start(s, number, e.errnum != 0 ? e.errnum : ENETDOWN, e.text);
}

int attach_begin(struct spawner *s, uint32_t number)
{
    struct slot *slot = &s->slots[number];

    slot->starting = true;
    switch (slot->state) {
    case SLOT_OPENING:
        return 0; /* its init may be ready before the nest has told us: attach_built() follows */
    case SLOT_OPEN:
        return ask(s, number);
    default:
        return reply_to_start(s, number, ESRCH, "the sandbox has ended");
    }
}

void attach_built(struct spawner *s, uint32_t number)
{
    if (s->slots[number].starting)
        ask(s, number); /* a server that is gone is noticed at its socket */
}

void attach_end(struct spawner *s, uint32_t number)
{
    if (!s->slots[number].starting)
        return;
    network_detach(number);
    reply_to_start(s, number, ESRCH, "the sandbox has ended");
}

int attach_read(struct spawner *s)
{
    char text[NETWORK_TEXT];
    uint32_t number;
    int error;

    while (network_read(&number, &error, text) == 1) {
        if (number < s->nslots && s->slots[number].starting &&
            reply_to_start(s, number, error, text) < 0)
            return -1;
    }
    return 0;
}
