/* settings: one table of everything that can be configured, fed from flags, the environment and a
 * .env file.
 *
 * Order of precedence: flag, environment variable, .env file in the working directory, default.  A
 * name FOO_BAR is the flag --foo-bar.  Unknown keys in .env are reported and ignored; a bad value
 * is an error that names it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"

struct settings {
    char *host;               /* HOST 127.0.0.1 (comma-separated list) */
    int64_t port;             /* PORT 8000 */
    char *data;               /* DATA /var/lib/dunlin */
    char *api_keys;           /* API_KEYS comma-separated, "" = none */
    char *api_key_file;       /* API_KEY_FILE one key a line, "" = none */
    bool allow_anonymous;     /* ALLOW_ANONYMOUS: may listen beyond loopback without keys */
    int64_t concurrent_limit; /* CONCURRENT_LIMIT 10 */
    int64_t queue_limit;      /* QUEUE_LIMIT 2048 */
    int64_t sandbox_timeout;  /* SANDBOX_TIMEOUT 30: seconds when a request names none */
    int64_t max_timeout;      /* MAX_TIMEOUT 300; MAX_EXECUTION_TIME lowers it too */
    int64_t max_execution_time;
    int64_t max_code_length; /* MAX_CODE_LENGTH 100000 characters */
    int64_t max_file_size;   /* MAX_FILE_SIZE 10485760 bytes */
    int64_t max_body_size;   /* MAX_BODY_SIZE 64m */
    int64_t body_budget;     /* BODY_BUDGET 512m: bytes of all request bodies held at once */
    int64_t memory_limit;    /* MEMORY_LIMIT 512m (bytes; k, m, g suffixes, docker's syntax) */
    int64_t max_memory;      /* MAX_MEMORY 2g: ceiling of limits.memory_mb */
    int64_t memory_budget;   /* MEMORY_BUDGET 0 = 80 % of the machine */
    int64_t cpu_milli;       /* CPU_LIMIT 1 (decimal number of CPUs) */
    int64_t max_cpu_milli;   /* MAX_CPU 0 = all CPUs */
    int64_t process_limit;   /* PROCESS_LIMIT 64 */
    int64_t max_processes;   /* MAX_PROCESSES 512 */
    int64_t workspace_limit; /* WORKSPACE_LIMIT 128m */
    int64_t max_workspace;   /* MAX_WORKSPACE 1g */
    int64_t output_limit;    /* OUTPUT_LIMIT 4m per stream */
    int64_t max_output;      /* MAX_OUTPUT 64m */
    int64_t pool_min;        /* POOL_MIN 4 */
    int64_t pool_max;        /* POOL_MAX 32 */
    char *warm_modules;      /* WARM_MODULES "" comma-separated Python modules, imported ahead */
    char *work_dir;          /* WORK_DIR /sandbox */
    char *security_level;    /* SECURITY_LEVEL off|standard|strict */
    char *allowed_modules;   /* ALLOWED_MODULES "" */

    int64_t build_timeout;       /* BUILD_TIMEOUT 1800 seconds */
    int64_t build_concurrency;   /* BUILD_CONCURRENCY 1 */
    int64_t build_memory;        /* BUILD_MEMORY 2g */
    int64_t build_cpu_milli;     /* BUILD_CPU 0 = all CPUs */
    int64_t build_processes;     /* BUILD_PROCESSES 512 */
    int64_t build_disk;          /* BUILD_DISK 10g: size of a layer's file system */
    int64_t build_log_limit;     /* BUILD_LOG_LIMIT 8m */
    int64_t build_weight;        /* BUILD_WEIGHT 25: percent of a run's share of the CPU */
    int64_t disk_reserve;        /* DISK_RESERVE 1g: free space that builds must leave */
    char *forbidden_scripts;     /* FORBIDDEN_SCRIPTS refuse|warn */
    int64_t environment_limit;   /* ENVIRONMENT_LIMIT 1000 */
    int64_t environments_warm;   /* ENVIRONMENTS_WARM 16: nests open at once */
    int64_t environment_idle;    /* ENVIRONMENT_IDLE 600: seconds until an unused nest is closed */
    int64_t zygote_forks;        /* ZYGOTE_FORKS 20000 */
    int64_t zygote_minutes;      /* ZYGOTE_MINUTES 240 */
    bool learn_modules;          /* LEARN_MODULES true */
    char *network_mode;          /* NETWORK_MODE none|bridge: what runs have unless they say */
    char *max_network;           /* MAX_NETWORK none|bridge: what runs may ask for */
    char *build_network;         /* BUILD_NETWORK none|bridge */
    char *network_dns;           /* NETWORK_DNS "" comma-separated addresses; "" = the host's */
    char *network_allow;         /* NETWORK_ALLOW "" comma-separated networks */
    int64_t network_rate;        /* NETWORK_RATE 50m bytes a second, 0 = no limit */
    int64_t network_connections; /* NETWORK_CONNECTIONS 512 */
    char *registry_mirror;       /* REGISTRY_MIRROR "" host[:port][/path] */
    char *registries;            /* REGISTRIES "" comma-separated host[:port] */
    char *registry_insecure;     /* REGISTRY_INSECURE "" comma-separated host[:port] */
    char *registry_auth_file;    /* REGISTRY_AUTH_FILE "" */
    char *debian_mirror;         /* DEBIAN_MIRROR "" = the host's apt sources */

    int64_t se_port;            /* SE_PORT 0 = no second listener; the predecessor's was 9101 */
    int64_t session_size;       /* SESSION_SIZE 100m: of a workspace */
    int64_t session_max_size;   /* SESSION_MAX_SIZE 10g */
    int64_t session_limit;      /* SESSION_LIMIT 20000: sessions at most */
    int64_t session_live_limit; /* SESSION_LIVE_LIMIT 1000: awake at once */
    int64_t session_disk;       /* SESSION_DISK 0 = all but DISK_RESERVE */
    int64_t session_idle;       /* SESSION_IDLE 600: seconds until one falls asleep */
    int64_t session_ttl;     /* WORKSPACE_EXPIRATION_TIME 86400: seconds without use, 0 = never */
    int64_t session_max_age; /* SESSION_MAX_AGE 0: seconds since creation, 0 = for ever */
    int64_t session_timeout; /* SESSION_TIMEOUT 300: seconds of a call that names none */
    int64_t session_max_timeout; /* SESSION_MAX_TIMEOUT 86400 */
    char *allowed_commands;      /* ALLOWED_COMMANDS "" = every command */
    char *fetch_hosts;           /* FETCH_HOSTS "" = off */
    int64_t fetch_max_size;      /* FETCH_MAX_SIZE 1g */
    int64_t fetch_timeout;       /* DOWNLOADER_TIMEOUT 300 */
    char *efast_url;             /* EFAST_DOWNLOADER_URL */
    char *efast_token;           /* EFAST_TOKEN "" */
    char *log_level;             /* LOG_LEVEL info */
    char *log_format;            /* LOG_FORMAT auto|text|json */
};

/* Fills *s from the defaults, `dotenv` (path, may be absent; NULL: none), environ and argv (flags
 * of the command, argv[0] is skipped; parsing stops at --help or -h, which is the caller's, and
 * then only the defaults are filled in).  Warnings (unknown .env keys, settings that have no
 * effect) are given to warn.  On success *ret_rest is the index of the first argument that is not a
 * flag. -1 and e on a bad flag or value. */
int settings_load(struct settings *s, const char *dotenv, int argc, char **argv, int *ret_rest,
                  void (*warn)(const char *text), struct err *e);
void settings_finish(struct settings *s);
/* Prints the table: flag, variable, default, meaning. */
void settings_help(FILE *out);
/* Prints the table as Markdown, for docs/settings.md. */
void settings_markdown(FILE *out);
