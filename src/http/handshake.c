/* handshake: the parts of a WebSocket's opening that need no connection.  Runs in the server; the
 * text is hostile.  SHA-1 protects nothing here: RFC 6455 names it. */
#include "http/handshake.h"

#include <gnutls/crypto.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/base64.h"

#define KEY_LENGTH  24 /* characters: 16 bytes in base64 */
#define SHA1_LENGTH 20

bool handshake_list_has(const char *list, const char *token)
{
    const size_t wanted = strlen(token);

    while (list != NULL && *list != '\0') {
        size_t len;

        list += strspn(list, " \t,");
        len = strcspn(list, " \t,");
        if (len == wanted && strncasecmp(list, token, len) == 0)
            return true;
        list += len;
    }
    return false;
}

bool handshake_key_is_valid(const char *key)
{
    unsigned char bytes[KEY_LENGTH / 4 * 3];
    size_t len = 0;

    return key != NULL && strlen(key) == KEY_LENGTH &&
           base64_decode(key, KEY_LENGTH, bytes, &len, NULL) == 0 && len == 16;
}

int handshake_accept(const char *key, char out[static HANDSHAKE_ACCEPT_SIZE])
{
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    unsigned char digest[SHA1_LENGTH];
    char text[KEY_LENGTH + sizeof guid];
    struct base64_encoder encoder = {0};
    size_t len;

    snprintf(text, sizeof text, "%s%s", key, guid);
    if (gnutls_hash_fast(GNUTLS_DIG_SHA1, text, strlen(text), digest) < 0)
        return -1;
    len = base64_encode_update(&encoder, digest, sizeof digest, out);
    len += base64_encode_end(&encoder, out + len);
    out[len] = '\0';
    return 0;
}
