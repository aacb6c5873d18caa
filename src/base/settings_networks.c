/* settings_networks: rules of what ends up in packet filters and in the command lines of our own
 * tools: addresses, networks, names of registries.  Runs at start on the operator's text; each part
 * of a list is exactly right or refused with its place in the list. */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "base/settings_internal.h"

#define PART_BYTES   256 /* of one part of a list with its NUL; names of hosts have 253 */
#define DNS_MAX      3   /* what the message to the spawner holds (wire/spawn.h), and resolv.conf */
#define NETWORKS_MAX 16  /* the same for networks */
#define LETTERS      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS       "0123456789"

/* AF_INET, AF_INET6, or 0 when text is no address. */
static int family_of(const char *text, unsigned char out[static 16])
{
    if (inet_pton(AF_INET, text, out) == 1)
        return AF_INET;
    return inet_pton(AF_INET6, text, out) == 1 ? AF_INET6 : 0;
}

/* NULL, or what is wrong with it. */
static const char *judge_resolver(char *text)
{
    static const unsigned char loopback6[16] = {[15] = 1}, none[16];
    unsigned char a[16];
    int family = family_of(text, a);

    if (family == 0)
        return "is not an IPv4 or IPv6 address";
    if (family == AF_INET ? a[0] == 127 : memcmp(a, loopback6, sizeof a) == 0)
        return "is an address of the host's loopback, which no sandbox reaches";
    if (memcmp(a, none, family == AF_INET ? 4 : 16) == 0)
        return "is no address of a resolver";
    return NULL;
}

static const char *judge_network(char *text)
{
    static const char wanted[] =
        "is not a network such as 10.1.0.0/16 or fd00:1::/32 (one address: 10.1.2.3/32)";
    unsigned char a[16];
    char *slash = strchr(text, '/');
    size_t digits = slash != NULL ? strspn(slash + 1, DIGITS) : 0;
    int family;
    long bits;

    if (digits == 0 || digits > 3 || slash[1 + digits] != '\0')
        return wanted;
    bits = strtol(slash + 1, NULL, 10);
    *slash = '\0';
    family = family_of(text, a);
    *slash = '/';
    if (family == 0 || bits > (family == AF_INET ? 32 : 128))
        return wanted;
    for (long i = bits; i < (family == AF_INET ? 32 : 128); i++) {
        if ((a[i / 8] & 0x80 >> i % 8) != 0)
            return "has bits behind its length: name the network, not a host in it";
    }
    return bits == 0 ? "would open everything, the host included" : NULL;
}

/* HOST[:PORT], the host a name, an IPv4 address, or an IPv6 address in brackets.  Returns what is
 * behind it, or NULL. */
static const char *skip_authority(const char *text)
{
    size_t port;

    if (*text == '[') {
        text += 1 + strspn(text + 1, "0123456789abcdefABCDEF:.");
        if (*text++ != ']')
            return NULL;
    } else {
        size_t host = strspn(text, LETTERS DIGITS ".-");

        if (host == 0 || *text == '-' || *text == '.')
            return NULL;
        text += host;
    }
    if (*text != ':')
        return text;
    port = strspn(text + 1, DIGITS);
    if (port == 0 || port > 5 || atoi(text + 1) < 1 || atoi(text + 1) > 65535)
        return NULL;
    return text + 1 + port;
}

static const char *judge_registry(char *text)
{
    const char *end = skip_authority(text);

    return end != NULL && *end == '\0' ? NULL : "is not HOST or HOST:PORT";
}

/* What may follow the host: nothing that a shell or a tool could take for something else. */
static bool is_path(const char *text)
{
    return *text == '\0' || (*text == '/' && text[strspn(text, LETTERS DIGITS "/._-~")] == '\0' &&
                             strstr(text, "..") == NULL);
}

static const char *judge_mirror(char *text)
{
    const char *end = skip_authority(text);

    return end != NULL && is_path(end) ? NULL : "is not HOST[:PORT][/PATH]";
}

static const char *judge_url(char *text)
{
    const char *rest = strncmp(text, "http://", 7) == 0    ? text + 7
                       : strncmp(text, "https://", 8) == 0 ? text + 8
                                                           : NULL;
    const char *end = rest != NULL ? skip_authority(rest) : NULL;

    return end != NULL && is_path(end) ? NULL : "is not http://HOST[:PORT]/PATH or https://...";
}

struct list {
    const char *name, *text;
    const char *(*judge)(char *part);
    int max;
};

static int check_list(const struct list *list, struct err *e)
{
    const char *p = list->text;

    for (int n = 1; *p != '\0'; n++) {
        size_t len = strcspn(p, ",");
        char part[PART_BYTES];
        const char *why;

        if (n > list->max)
            return err_set(e, ERR_INVALID, 0, "%s: more than %d", list->name, list->max);
        snprintf(part, sizeof part, "%.*s", (int)len, p);
        why = len == 0                             ? "is empty"
              : len >= sizeof part                 ? "is too long"
              : part[strcspn(part, " \t")] != '\0' ? "has a blank: commas alone separate"
                                                   : list->judge(part);
        if (why != NULL)
            return err_set(e, ERR_INVALID, 0, "%s: \"%.64s\" %s", list->name, part, why);
        p += len;
        if (*p == ',' && *++p == '\0')
            return err_set(e, ERR_INVALID, 0, "%s: ends with a comma", list->name);
    }
    return 0;
}

int settings_check_networks(const struct settings *s, struct err *e)
{
    const struct list lists[] = {
        {"NETWORK_DNS", s->network_dns, judge_resolver, DNS_MAX},
        {"NETWORK_ALLOW", s->network_allow, judge_network, NETWORKS_MAX},
        {"REGISTRIES", s->registries, judge_registry, NETWORKS_MAX},
        {"REGISTRY_INSECURE", s->registry_insecure, judge_registry, NETWORKS_MAX},
        {"REGISTRY_MIRROR", s->registry_mirror, judge_mirror, 1},
        {"DEBIAN_MIRROR", s->debian_mirror, judge_url, 1},
    };

    if (strcmp(s->network_mode, "none") != 0 && strcmp(s->max_network, "none") == 0)
        return err_set(e, ERR_INVALID, 0,
                       "NETWORK_MODE (%s) is above MAX_NETWORK (none): lower NETWORK_MODE or raise "
                       "MAX_NETWORK",
                       s->network_mode);
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        if (check_list(&lists[i], e) < 0)
            return -1;
    }
    return 0;
}
