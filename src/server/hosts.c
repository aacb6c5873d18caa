/* hosts: parses HOST and judges whether it is local.
 *
 * Runs in the server while it still is the operator's process; trusts the operator. */
#include "server/hosts.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

int hosts_split(const char *text, char **ret_hosts, size_t *ret_n, struct err *e)
{
    size_t n = 0;

    while (*text != '\0') {
        size_t len = strcspn(text, ", ");

        if (len > 0 && n == HOSTS_MAX) {
            hosts_free(ret_hosts, n);
            return err_set(e, ERR_INVALID, 0, "HOST names more than %d addresses", HOSTS_MAX);
        }
        if (len > 0 && (ret_hosts[n] = strndup(text, len)) == NULL) {
            hosts_free(ret_hosts, n);
            return err_set(e, ERR_UNAVAILABLE, 0, "out of memory");
        }
        n += len > 0;
        text += len + (text[len] != '\0');
    }
    *ret_n = n;
    return n > 0 ? 0 : err_set(e, ERR_INVALID, 0, "HOST is empty");
}

void hosts_free(char **hosts, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(hosts[i]);
}

static bool is_loopback(const char *host)
{
    struct in_addr v4;
    struct in6_addr v6;

    if (strcmp(host, "localhost") == 0)
        return true;
    if (inet_pton(AF_INET, host, &v4) == 1)
        return ntohl(v4.s_addr) >> 24 == 127;
    return inet_pton(AF_INET6, host, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

bool hosts_are_loopback(char *const *hosts, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!is_loopback(hosts[i]))
            return false;
    }
    return true;
}
