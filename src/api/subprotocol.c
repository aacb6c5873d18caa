/* subprotocol: reads Sec-WebSocket-Protocol.  Runs in the server's loop thread; the header is
 * hostile. */
#include "api/subprotocol.h"

#include <stddef.h>
#include <string.h>

#include "base/base64.h"

#define BLANK         " \t"
#define KEY_PREFIX    SUBPROTOCOL ".key."
#define KEY_TEXT_MAX  ((SUBPROTOCOL_KEY_MAX - 1) / 3 * 4 + 4)
#define PREFIX_LENGTH (sizeof KEY_PREFIX - 1)

/* Steps over the next item of the list; NULL behind the last. */
static const char *next_item(const char **list, size_t *ret_len)
{
    *list += strspn(*list, BLANK ",");
    const char *item = *list;
    size_t len = strcspn(item, ",");
    *list += len;
    while (len > 0 && strchr(BLANK, item[len - 1]))
        len--;
    *ret_len = len;
    return len > 0 ? item : NULL;
}

static bool decode_key(const char *text, size_t len, char ret[static SUBPROTOCOL_KEY_MAX])
{
    char plain[KEY_TEXT_MAX + 4];
    size_t n = 0;
    if (len == 0 || len > KEY_TEXT_MAX - 4)
        return false;
    for (; n < len; n++)
        plain[n] = (char)(text[n] == '-' ? '+' : text[n] == '_' ? '/' : text[n]);
    while (n % 4)
        plain[n++] = '=';
    if (base64_decode(plain, n, (unsigned char *)plain, &n, NULL) < 0 || n == 0 ||
        n >= SUBPROTOCOL_KEY_MAX || memchr(plain, '\0', n))
        return false;
    memcpy(ret, plain, n);
    ret[n] = '\0';
    return true;
}

bool subprotocol_key(const char *offered, char ret[static SUBPROTOCOL_KEY_MAX])
{
    const char *item;
    size_t len;
    while (offered && (item = next_item(&offered, &len))) {
        if (len > PREFIX_LENGTH && memcmp(item, KEY_PREFIX, PREFIX_LENGTH) == 0)
            return decode_key(item + PREFIX_LENGTH, len - PREFIX_LENGTH, ret);
    }
    return false;
}

const char *subprotocol_agreed(const char *offered)
{
    const char *item;
    size_t len;
    while (offered && (item = next_item(&offered, &len))) {
        if (len == sizeof SUBPROTOCOL - 1 && memcmp(item, SUBPROTOCOL, len) == 0)
            return SUBPROTOCOL;
    }
    return NULL;
}
