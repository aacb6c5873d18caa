/* build_facts: decodes the two files that a build leaves.
 *
 * Runs in the server.  The files come out of a sandbox in which a client's script was root: they
 * may say anything, and what they say is shown to people and nothing else depends on it. */
#include "service/build_facts.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "engine/run.h"

#define PACKAGES_MAX 20000 /* a full distribution has some thousands */
#define TEXT_MAX     200   /* bytes of a name or a version */

static bool is_digest(const char *text)
{
    return strncmp(text, "sha256:", 7) == 0 && strlen(text) == 7 + 64 &&
           strspn(text + 7, "0123456789abcdef") == 64;
}

static bool is_version(const char *text)
{
    return text[0] >= '0' && text[0] <= '9' &&
           strlen(text) < sizeof((struct build_facts *)0)->python &&
           strspn(text, "0123456789.abcrc+") == strlen(text);
}

static bool is_text(const char *text)
{
    return text != NULL && text[0] != '\0' && strlen(text) <= TEXT_MAX;
}

struct package {
    json_t *value;
    const char *name; /* in it */
};

static int compare(const void *a, const void *b)
{
    const struct package *one = a, *two = b;

    return strcmp(one->name, two->name);
}

/* One package as we show it, or NULL if it is none. */
static json_t *read_package(const json_t *value)
{
    static const char *const managers[] = {"dpkg", "apk", "rpm", "pip", "npm", "conda"};
    const char *name = json_string_value(json_object_get(value, "name"));
    const char *version = json_string_value(json_object_get(value, "version"));
    const char *manager = json_string_value(json_object_get(value, "manager"));

    if (!is_text(name) || !is_text(version) || manager == NULL)
        return NULL;
    for (size_t i = 0; i < sizeof managers / sizeof managers[0]; i++) {
        if (strcmp(manager, managers[i]) == 0)
            return json_pack("{s:s, s:s, s:s}", "name", name, "version", version, "manager",
                             manager);
    }
    return NULL;
}

/* In order; the elements are borrowed. */
static json_t *sort(struct package *packages, size_t n)
{
    json_t *list = json_array();

    qsort(packages, n, sizeof packages[0], compare);
    for (size_t i = 0; list != NULL && i < n; i++)
        json_array_append(list, packages[i].value);
    return list;
}

static void take_packages(struct build_facts *f, const json_t *list)
{
    size_t given = json_array_size(list), n = 0;
    struct package *packages;
    json_t *sorted;

    if (!json_is_array(list))
        return;
    given = given < PACKAGES_MAX ? given : PACKAGES_MAX;
    packages = calloc(given + 1, sizeof packages[0]);
    if (packages == NULL)
        return;
    for (size_t i = 0; i < given; i++) {
        packages[n].value = read_package(json_array_get(list, i));
        packages[n].name = json_string_value(json_object_get(packages[n].value, "name"));
        n += packages[n].value != NULL;
    }
    sorted = sort(packages, n);
    free(f->packages);
    f->packages = sorted != NULL ? json_dumps(sorted, JSON_COMPACT) : NULL;
    f->npackages = n;
    json_decref(sorted);
    for (size_t i = 0; i < n; i++)
        json_decref(packages[i].value);
    free(packages);
}

void build_packages_decode(struct build_facts *f, const char *json, size_t len)
{
    json_t *root = len <= BUILD_FACTS_BYTES ? json_loadb(json, len, 0, NULL) : NULL;

    take_packages(f, root);
    json_decref(root);
}

void build_facts_decode(struct build_facts *f, const char *json, size_t len)
{
    json_t *root = len <= BUILD_FACTS_BYTES ? json_loadb(json, len, 0, NULL) : NULL;
    const char *python = json_string_value(json_object_get(root, "python"));
    const char *digest = json_string_value(json_object_get(root, "digest"));

    if (python != NULL && is_version(python))
        strcpy(f->python, python);
    if (digest != NULL && is_digest(digest))
        strcpy(f->digest, digest);
    take_packages(f, json_object_get(root, "packages"));
    json_decref(root);
}

void build_facts_read(struct build_facts *ret, const struct run_result *result)
{
    *ret = (struct build_facts){0};
    for (size_t i = 0; i < result->nfiles; i++) {
        const struct run_output_file *file = &result->files[i];

        if (strcmp(file->name, "facts.json") == 0)
            build_facts_decode(ret, file->data, file->len);
        else if (strcmp(file->name, "packages.json") == 0)
            build_packages_decode(ret, file->data, file->len);
    }
}

void build_facts_finish(struct build_facts *f)
{
    free(f->packages);
    *f = (struct build_facts){0};
}
