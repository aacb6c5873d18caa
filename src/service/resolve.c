/* resolve: the rule that turns base_image and python_version into a base.
 *
 * Runs in the server; pure.  The words come from clients: they become names of images and words of
 * a program's argument list, so their form is checked here. */
#include "service/resolve.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define VERSION_MAX 3 /* numbers in a version of Python */
#define LETTERS     "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS      "0123456789"
#define PYTHON      "python:"
#define SLIM        "-slim"
#define DEBOOTSTRAP "debootstrap:"

struct version {
    int n; /* numbers that were given, 0: none */
    unsigned part[VERSION_MAX];
};

/* The suites of Debian that can still be had, and their Pythons. */
static const struct {
    const char *suite;
    struct version python;
} suites[] = {
    {"bullseye", {2, {3, 9}}},
    {"bookworm", {2, {3, 11}}},
    {"trixie", {2, {3, 13}}},
};

/* Reads "3", "3.12" or "3.12.4" at text; returns what follows, or NULL. */
static const char *read_version(const char *text, struct version *ret)
{
    *ret = (struct version){0};
    while (ret->n < VERSION_MAX) {
        unsigned value = 0;
        int digits = 0;

        for (; *text >= '0' && *text <= '9' && digits < 4; text++, digits++)
            value = value * 10 + (unsigned)(*text - '0');
        if (digits == 0)
            return NULL;
        ret->part[ret->n++] = value;
        if (*text != '.')
            break;
        text++;
    }
    return text;
}

/* Whether both name the same version as far as both say it, at most `parts` numbers. */
static bool agree(const struct version *a, const struct version *b, int parts)
{
    for (int i = 0; i < a->n && i < b->n && i < parts; i++) {
        if (a->part[i] != b->part[i])
            return false;
    }
    return true;
}

/* "python:V", "python:V-slim", "python:V-slim-...": a wish for a version, not for a certain image.
 */
static bool is_wish(const char *base_image, struct version *ret)
{
    const char *rest;

    *ret = (struct version){0};
    if (strncmp(base_image, PYTHON, strlen(PYTHON)) != 0)
        return false;
    rest = read_version(base_image + strlen(PYTHON), ret);
    if (rest != NULL && strncmp(rest, SLIM, strlen(SLIM)) == 0)
        rest += strlen(SLIM);
    else if (rest != NULL && *rest != '\0')
        rest = NULL;
    if (rest != NULL && (*rest == '\0' || *rest == '-'))
        return true;
    *ret = (struct version){0};
    return false;
}

bool resolve_is_image_name(const char *name)
{
    size_t len = strlen(name);

    return len > 0 && len < RESOLVE_NAME && strchr("._/:@-", name[0]) == NULL &&
           strspn(name, LETTERS DIGITS "._/:@-") == len;
}

static bool is_suite(const char *text)
{
    size_t len = strspn(text, "abcdefghijklmnopqrstuvwxyz" DIGITS "-");

    return len > 0 && len <= 32 && text[len] == '\0' && text[0] != '-';
}

__attribute__((format(printf, 2, 3))) static void note(struct resolve_answer *a, const char *format,
                                                       ...)
{
    size_t len = strlen(a->looked);
    va_list args;

    if (len > 0)
        len += (size_t)snprintf(a->looked + len, sizeof a->looked - len, "; ");
    if (len >= sizeof a->looked)
        return;
    va_start(args, format);
    vsnprintf(a->looked + len, sizeof a->looked - len, format, args);
    va_end(args);
}

static void add(struct resolve_answer *a, enum base_kind kind, const char *name)
{
    struct base_candidate *c = &a->candidates[a->n++];

    c->kind = kind;
    snprintf(c->name, sizeof c->name, "%s", name);
}

static const char *suite_of(const struct version *wanted)
{
    for (size_t i = 0; i < sizeof suites / sizeof suites[0]; i++) {
        if (agree(wanted, &suites[i].python, 2))
            return suites[i].suite;
    }
    return NULL;
}

/* "3.12", as it was said. */
static void format_version(const struct version *v, char out[static 32])
{
    int len = 0;

    for (int i = 0; i < v->n; i++)
        len += snprintf(out + len, 32 - (size_t)len, "%s%u", i > 0 ? "." : "", v->part[i]);
}

/* Adds the image if we have it, and says so if not. */
static bool add_own(const struct resolve_question *q, struct resolve_answer *a, const char *name)
{
    if (q->has_image(q->data, name)) {
        add(a, BASE_IMAGE, name);
        return true;
    }
    note(a, "there is no image %s here", name);
    return false;
}

static void resolve_wish(const struct resolve_question *q, const struct version *wanted,
                         struct resolve_answer *a)
{
    char text[32] = "", slim[64], image[RESOLVE_NAME];
    const char *suite = suite_of(wanted);
    struct version host;
    bool have;

    format_version(wanted, text);
    snprintf(slim, sizeof slim, PYTHON "%s" SLIM, text);
    if (q->host_python[0] == '\0' || read_version(q->host_python, &host) == NULL)
        note(a, "this host has no Python");
    else if (agree(wanted, &host, 2))
        add(a, BASE_HOST, "");
    else
        note(a, "this host has Python %s", q->host_python);
    have = add_own(q, a, slim);
    snprintf(image, sizeof image, DEBOOTSTRAP "%s", suite != NULL ? suite : "");
    if (suite != NULL && q->has_image(q->data, image))
        add(a, BASE_IMAGE, image);
    else if (suite == NULL)
        note(a, "no suite of Debian that can be had has Python %s", text);
    if (!have)
        add(a, BASE_PULL, q->base_image[0] != '\0' ? q->base_image : slim);
    if (suite != NULL && !q->has_image(q->data, image))
        add(a, BASE_DEBOOTSTRAP, image);
}

/* A base_image that is one of a kind. */
static int resolve_image(const struct resolve_question *q, struct resolve_answer *a, struct err *e)
{
    const char *name = q->base_image;
    size_t prefix = strlen(DEBOOTSTRAP);

    if (strncmp(name, DEBOOTSTRAP, prefix) == 0) {
        if (!is_suite(name + prefix))
            return err_set(e, ERR_INVALID, 0,
                           "base_image '%.100s' names no suite (as in debootstrap:trixie)", name);
        if (!add_own(q, a, name))
            add(a, BASE_DEBOOTSTRAP, name);
        return 0;
    }
    if (!add_own(q, a, name))
        add(a, BASE_PULL, name);
    return 0;
}

int resolve_base(const struct resolve_question *q, struct resolve_answer *ret, struct err *e)
{
    struct version version = {0}, wish = {0};
    const char *rest =
        q->python_version[0] != '\0' ? read_version(q->python_version, &version) : "";

    *ret = (struct resolve_answer){0};
    if (rest == NULL || *rest != '\0')
        return err_set(e, ERR_INVALID, 0, "python_version '%.40s' is no version (as in 3.12)",
                       q->python_version);
    if (q->base_image[0] != '\0' && !resolve_is_image_name(q->base_image))
        return err_set(e, ERR_INVALID, 0, "base_image '%.100s' is no name of an image",
                       q->base_image);
    if (q->base_image[0] == '\0' && version.n == 0) {
        add(ret, BASE_HOST, "");
        return 0;
    }
    if (is_wish(q->base_image, &wish) && !agree(&wish, &version, VERSION_MAX))
        return err_set(e, ERR_INVALID, 0,
                       "base_image %.60s and python_version %.20s contradict each other",
                       q->base_image, q->python_version);
    if (q->base_image[0] != '\0' && (wish.n == 0 || q->has_image(q->data, q->base_image)))
        return resolve_image(q, ret, e);
    resolve_wish(q, wish.n >= version.n ? &wish : &version, ret);
    return 0;
}

/* -- registries -- */

/* Length of the registry at the start of a reference, 0: it names none. */
static size_t registry_length(const char *reference)
{
    size_t len = strcspn(reference, "/");

    if (reference[len] == '\0')
        return 0;
    if (memchr(reference, '.', len) != NULL || memchr(reference, ':', len) != NULL ||
        (len == 9 && memcmp(reference, "localhost", len) == 0))
        return len;
    return 0;
}

static bool is_in_list(const char *host, size_t len, const char *listed)
{
    while (*listed != '\0') {
        size_t one = strcspn(listed, ", ");

        if (one == len && len > 0 && strncmp(listed, host, len) == 0)
            return true;
        listed += one + (listed[one] != '\0');
    }
    return false;
}

bool resolve_is_listed(const char *reference, const char *mirror, const char *listed)
{
    size_t len = registry_length(reference);

    if (len > 0)
        return is_in_list(reference, len, listed);
    return is_in_list(mirror, strcspn(mirror, "/"), listed);
}
