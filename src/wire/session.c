/* session: parsing of what a session's init says, and of lists of strings.
 *
 * Runs in the server (input: whatever a session's init sends, hostile) and in init (strings that
 * the server sent).  Keeps no state, allocates nothing, and must never read beyond `len`. */
#include "wire/session.h"

#include <stdbool.h>
#include <string.h>

struct shape {
    bool known;
    bool text;      /* may follow the fixed part */
    uint32_t fixed; /* bytes of the struct behind the head */
};

#define FIRST SESSION_UP

static const struct shape shapes[] = {
    [SESSION_UP - FIRST] = {true, false, 0},
    [SESSION_STARTED - FIRST] = {true, false, sizeof(struct session_started)},
    [SESSION_ADMITTED - FIRST] = {true, false, 0},
    [SESSION_READY - FIRST] = {true, false, sizeof(struct session_started)},
    [SESSION_ENDED - FIRST] = {true, true, sizeof(struct session_ended)},
    [SESSION_STOPPED - FIRST] = {true, false, 0},
    [SESSION_FAILED - FIRST] = {true, true, 0},
};

int session_parse(const char *data, size_t len, struct session_message *ret, struct err *e)
{
    struct session_message m = {0};
    const struct shape *shape;

    if (len < sizeof m.head || len > SESSION_MESSAGE_MAX)
        return err_set(e, ERR_INVALID, 0, "session message of %zu bytes", len);
    memcpy(&m.head, data, sizeof m.head);
    if (m.head.op < FIRST || m.head.op - FIRST >= sizeof shapes / sizeof shapes[0])
        return err_set(e, ERR_INVALID, 0, "session message of unknown kind %u", m.head.op);
    shape = &shapes[m.head.op - FIRST];
    data += sizeof m.head;
    len -= sizeof m.head;
    if (!shape->known || len < shape->fixed || (!shape->text && len != shape->fixed))
        return err_set(e, ERR_INVALID, 0, "session message of kind %u with %zu bytes", m.head.op,
                       len);
    memcpy(&m.ended, data, shape->fixed);
    m.text = data + shape->fixed;
    m.text_len = len - shape->fixed;
    *ret = m;
    return 0;
}

int session_strings(const char *data, size_t len, const char **ret, size_t max)
{
    size_t n = 0;

    while (len > 0) {
        const char *nul = memchr(data, 0, len);

        if (nul == NULL || n == max)
            return -1;
        ret[n++] = data;
        len -= (size_t)(nul + 1 - data);
        data = nul + 1;
    }
    return (int)n;
}
