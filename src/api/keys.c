/* keys: API keys.
 *
 * Runs in the server: read at start, compared with each request.  Headers are hostile.  No clear
 * text of a configured key stays in memory, and how long a comparison takes does not depend on how
 * much of a key was right, nor on which one it was. */
#include "api/keys.h"

#include <errno.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define HASH_SIZE  32
#define ID_BYTES   ((KEY_ID_SIZE - 1) / 2)
#define KEYS_MAX   10000   /* each request is compared with all */
#define FILE_MAX   1048576 /* bytes of a key file */
#define SEPARATORS ", \t\r\n"

struct keys {
    size_t n;
    unsigned char (*hashes)[HASH_SIZE];
};

static int hash_key(const char *key, size_t len, unsigned char out[static HASH_SIZE])
{
    return gnutls_hash_fast(GNUTLS_DIG_SHA256, key, len, out) < 0 ? -1 : 0;
}

static void write_id(const unsigned char hash[static HASH_SIZE], char ret_id[static KEY_ID_SIZE])
{
    snprintf(ret_id, KEY_ID_SIZE, "%02x%02x%02x%02x", hash[0], hash[1], hash[2], hash[3]);
}

/* Sessions belong to the id of a key, so one id may not stand for two keys. */
static int check_id(const struct keys *k, const unsigned char hash[static HASH_SIZE], struct err *e)
{
    char id[KEY_ID_SIZE];
    write_id(hash, id);
    for (size_t i = 0; i < k->n; i++) {
        if (memcmp(hash, k->hashes[i], ID_BYTES) == 0 && memcmp(hash, k->hashes[i], HASH_SIZE) != 0)
            return err_set(e, ERR_INVALID, 0,
                           "two API keys have the same id, %s (the start of their SHA-256): "
                           "replace one of them",
                           id);
    }
    return 0;
}

static int add_key(struct keys *k, const char *key, size_t len, struct err *e)
{
    if (k->n == KEYS_MAX)
        return err_set(e, ERR_LIMIT, 0, "more than %d API keys", KEYS_MAX);
    unsigned char(*grown)[HASH_SIZE] = realloc(k->hashes, (k->n + 1) * sizeof *grown);
    if (!grown)
        return err_set(e, ERR_INTERNAL, 0, "out of memory");
    k->hashes = grown;
    if (hash_key(key, len, k->hashes[k->n]) < 0)
        return err_set(e, ERR_INTERNAL, 0, "SHA-256 is not available");
    if (check_id(k, k->hashes[k->n], e) < 0)
        return -1;
    k->n++;
    return 0;
}

static int add_list(struct keys *k, const char *list, struct err *e)
{
    for (;;) {
        list += strspn(list, SEPARATORS);
        size_t len = strcspn(list, SEPARATORS);
        if (len == 0)
            return 0;
        if (add_key(k, list, len, e) < 0)
            return -1;
        list += len;
    }
}

/* Reads the whole file into `text`, NUL-terminated. */
static int read_file(const char *path, char *text, size_t cap, struct err *e)
{
    FILE *f = fopen(path, "re");
    if (!f)
        return err_set(e, ERR_INVALID, errno, "API_KEY_FILE %s", path);
    setvbuf(f, NULL, _IONBF, 0); /* no second copy of the keys */
    size_t len = fread(text, 1, cap, f);
    int failed = ferror(f);
    fclose(f);
    if (failed)
        return err_set(e, ERR_INVALID, EIO, "API_KEY_FILE %s", path);
    if (len == cap)
        return err_set(e, ERR_LIMIT, 0, "API_KEY_FILE %s is larger than %zu bytes", path, cap - 1);
    text[len] = '\0';
    return 0;
}

static int add_file(struct keys *k, const char *path, struct err *e)
{
    size_t before = k->n;
    char *text = malloc(FILE_MAX);
    if (!text)
        return err_set(e, ERR_INTERNAL, 0, "out of memory");
    int result = read_file(path, text, FILE_MAX, e);
    if (result == 0)
        result = add_list(k, text, e);
    explicit_bzero(text, FILE_MAX);
    free(text);
    /* An empty file is a mistake: going on would leave the server open. */
    if (result == 0 && k->n == before)
        result = err_set(e, ERR_INVALID, 0, "API_KEY_FILE %s holds no key", path);
    return result;
}

struct keys *keys_create(char *list, const char *file, struct err *e)
{
    struct keys *k = calloc(1, sizeof *k);
    if (!k) {
        err_set(e, ERR_INTERNAL, 0, "out of memory");
        return NULL;
    }
    int result = list ? add_list(k, list, e) : 0;
    if (list)
        explicit_bzero(list, strlen(list));
    if (result == 0 && file && *file)
        result = add_file(k, file, e);
    if (result < 0) {
        keys_destroy(k);
        return NULL;
    }
    return k;
}

void keys_destroy(struct keys *k)
{
    if (!k)
        return;
    free(k->hashes);
    free(k);
}

bool keys_required(const struct keys *k)
{
    return k->n > 0;
}

/* All keys are looked at, whichever fits. */
static int accept_text(const struct keys *k, const char *text, char ret_id[static KEY_ID_SIZE])
{
    unsigned char hash[HASH_SIZE];
    bool found = false;
    size_t len = strlen(text);
    if (len == 0)
        return 0;
    if (hash_key(text, len, hash) < 0)
        return -1;
    for (size_t i = 0; i < k->n; i++)
        found |= gnutls_memcmp(hash, k->hashes[i], HASH_SIZE) == 0;
    if (found)
        write_id(hash, ret_id);
    return found;
}

int keys_accept(const struct keys *k, const char *authorization, const char *api_key,
                char ret_id[static KEY_ID_SIZE])
{
    static const char scheme[] = "Bearer ";
    const size_t n = sizeof scheme - 1;
    int known = 0;
    if (authorization && strncasecmp(authorization, scheme, n) == 0)
        known = accept_text(k, authorization + n + strspn(authorization + n, " "), ret_id);
    return known == 0 && api_key ? accept_text(k, api_key, ret_id) : known;
}
