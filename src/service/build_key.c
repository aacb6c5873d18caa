/* build_key: a hash over the three inputs of a build.  Pure.  The separator is a byte that none of
 * them can contain. */
#include "service/build_key.h"

#include <gnutls/crypto.h>
#include <stdio.h>
#include <string.h>

#define VERSION "dunlin build 1" /* raise it when the way of building changes what comes of it */

int build_key(const char *base, const char *script, const char *network,
              char ret_key[static BUILD_KEY], struct err *e)
{
    const char *const parts[] = {VERSION, base, network, script};
    gnutls_hash_hd_t hash;
    unsigned char digest[32];
    int r = gnutls_hash_init(&hash, GNUTLS_DIG_SHA256);

    if (r < 0)
        return err_set(e, ERR_INTERNAL, 0, "SHA-256: %s", gnutls_strerror(r));
    for (size_t i = 0; r >= 0 && i < sizeof parts / sizeof parts[0]; i++)
        r = gnutls_hash(hash, parts[i], strlen(parts[i]) + 1);
    gnutls_hash_deinit(hash, digest);
    if (r < 0)
        return err_set(e, ERR_INTERNAL, 0, "SHA-256: %s", gnutls_strerror(r));
    for (size_t i = 0; i < sizeof digest; i++)
        snprintf(ret_key + 2 * i, 3, "%02x", digest[i]);
    return 0;
}
