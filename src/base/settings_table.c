/* settings_table: everything that can be configured, one row each.  Read by the server and the
 * command line at start; the order is that of the help. */
#include <string.h>

#include "base/limits.h"
#include "base/settings_internal.h"

#define KIB INT64_C(1024)
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)
#define TIB (1024 * GIB)

#define SECONDS_MAX 86400 /* a run of more than a day is a job for another system */
#define MODULES_MAX 511   /* what the message to the spawner holds (wire/spawn.h) */
#define LIST_MAX    65536 /* bytes of a list in one variable */
#define DAYS_MAX    366   /* of waiting for anything */

#define FIELD(f) offsetof(struct settings, f)

static const char listen_group[] = "Listening and access";
static const char state_group[] = "State and logs";
static const char load_group[] = "Load";
static const char request_group[] = "Requests";
static const char run_group[] = "Limits of a run when a request names none";
static const char ceiling_group[] = "Ceilings of what a request may ask for";
static const char sandbox_group[] = "Sandboxes";
static const char environment_group[] = "Environments and images";
static const char session_group[] = "Sessions";
static const char fetch_group[] = "Fetching into sessions";
static const char network_group[] = "Networks";
static const char registry_group[] = "Image registries";

/* clang-format off */
const struct setting settings_table[] = {
    {"HOST", SETTING_STRING, 0, "127.0.0.1", 1, 1024, NULL, FIELD(host), listen_group,
     "Addresses to listen on, separated by commas."},
    {"PORT", SETTING_INT, 0, "8000", 0, 65535, NULL, FIELD(port), listen_group,
     "TCP port; 0 takes a free one."},
    {"API_KEYS", SETTING_STRING, SETTING_NO_FLAG, "", 0, LIST_MAX, NULL, FIELD(api_keys),
     listen_group,
     "Keys that clients must send, separated by commas. There is no --api-keys: every user of "
     "the machine could read it in ps."},
    {"API_KEY_FILE", SETTING_STRING, 0, "", 0, 4095, NULL, FIELD(api_key_file), listen_group,
     "File with one key a line, in addition to API_KEYS."},
    {"ALLOW_ANONYMOUS", SETTING_BOOL, 0, "false", 0, 1, NULL, FIELD(allow_anonymous), listen_group,
     "May listen beyond this machine although no keys are set."},

    {"DATA", SETTING_STRING, 0, "/var/lib/dunlin", 1, 200, NULL, FIELD(data), state_group,
     "Directory of everything that is kept."},
    {"LOG_LEVEL", SETTING_CHOICE, 0, "info", 0, 0, "debug|info|warning|error|warn|critical",
     FIELD(log_level), state_group, "Events below this level are not written."},
    {"LOG_FORMAT", SETTING_CHOICE, 0, "auto", 0, 0, "auto|text|json", FIELD(log_format),
     state_group, "Form of the log on stderr; auto is text on a terminal and JSON elsewhere."},

    {"CONCURRENT_LIMIT", SETTING_INT, 0, "10", 1, LIMIT_SLOTS, NULL, FIELD(concurrent_limit),
     load_group, "Runs at the same time."},
    {"QUEUE_LIMIT", SETTING_INT, 0, "2048", 0, 1000000, NULL, FIELD(queue_limit), load_group,
     "Requests that may wait for their turn; more are refused."},
    {"POOL_MIN", SETTING_INT, 0, "4", 0, LIMIT_SLOTS, NULL, FIELD(pool_min), load_group,
     "Ready sandboxes that are always kept."},
    {"POOL_MAX", SETTING_INT, 0, "32", 1, LIMIT_SLOTS, NULL, FIELD(pool_max), load_group,
     "Ready sandboxes at most."},
    {"MEMORY_BUDGET", SETTING_BYTES, 0, "0", 0, 64 * TIB, NULL, FIELD(memory_budget), load_group,
     "Memory of all runs together; 0 is 80 % of the machine."},
    {"BODY_BUDGET", SETTING_BYTES, 0, "512m", MIB, 64 * TIB, NULL, FIELD(body_budget), load_group,
     "Bytes of all request bodies that are held at once."},

    {"MAX_BODY_SIZE", SETTING_BYTES, 0, "64m", KIB, 4 * GIB, NULL, FIELD(max_body_size),
     request_group, "Bytes of one request body."},
    {"MAX_CODE_LENGTH", SETTING_INT, 0, "100000", 1, 100000000, NULL, FIELD(max_code_length),
     request_group, "Characters of the code in a request."},
    {"MAX_FILE_SIZE", SETTING_BYTES, 0, "10m", 1, 4 * GIB, NULL, FIELD(max_file_size),
     request_group, "Bytes of one file, sent or returned."},

    {"SANDBOX_TIMEOUT", SETTING_INT, 0, "30", 1, SECONDS_MAX, NULL, FIELD(sandbox_timeout),
     run_group, "Seconds."},
    {"MEMORY_LIMIT", SETTING_BYTES, 0, "512m", 16 * MIB, 64 * TIB, NULL, FIELD(memory_limit),
     run_group, "Memory, swap included."},
    {"CPU_LIMIT", SETTING_MILLI, 0, "1", 10, 4096000, NULL, FIELD(cpu_milli), run_group,
     "CPUs; 0.5 is half of one."},
    {"PROCESS_LIMIT", SETTING_INT, 0, "64", 1, 1000000, NULL, FIELD(process_limit), run_group,
     "Processes and threads."},
    {"WORKSPACE_LIMIT", SETTING_BYTES, 0, "128m", MIB, TIB, NULL, FIELD(workspace_limit),
     run_group, "Bytes of all files in the working directory."},
    {"OUTPUT_LIMIT", SETTING_BYTES, 0, "4m", KIB, GIB, NULL, FIELD(output_limit), run_group,
     "Bytes of stdout, and of stderr, that are returned."},

    {"MAX_TIMEOUT", SETTING_INT, 0, "300", 1, SECONDS_MAX, NULL, FIELD(max_timeout), ceiling_group,
     "Seconds."},
    {"MAX_EXECUTION_TIME", SETTING_INT, 0, "0", 0, SECONDS_MAX, NULL, FIELD(max_execution_time),
     ceiling_group, "Seconds; lowers MAX_TIMEOUT when it is smaller; 0 does nothing."},
    {"MAX_MEMORY", SETTING_BYTES, 0, "2g", 16 * MIB, 64 * TIB, NULL, FIELD(max_memory),
     ceiling_group, "Memory of a run."},
    {"MAX_CPU", SETTING_MILLI, 0, "0", 0, 4096000, NULL, FIELD(max_cpu_milli), ceiling_group,
     "CPUs of a run; 0 is all of the machine."},
    {"MAX_PROCESSES", SETTING_INT, 0, "512", 1, 1000000, NULL, FIELD(max_processes), ceiling_group,
     "Processes and threads of a run."},
    {"MAX_WORKSPACE", SETTING_BYTES, 0, "1g", MIB, TIB, NULL, FIELD(max_workspace), ceiling_group,
     "Bytes of a working directory."},
    {"MAX_OUTPUT", SETTING_BYTES, 0, "64m", KIB, GIB, NULL, FIELD(max_output), ceiling_group,
     "Bytes of stdout, and of stderr."},

    {"WORK_DIR", SETTING_STRING, 0, "/sandbox", 2, 128, NULL, FIELD(work_dir), sandbox_group,
     "Working directory of a run, as the code sees it."},
    {"WARM_MODULES", SETTING_STRING, 0, "", 0, MODULES_MAX, NULL, FIELD(warm_modules),
     sandbox_group, "Python modules that are imported ahead, separated by commas."},
    {"SECURITY_LEVEL", SETTING_CHOICE, 0, "off", 0, 0, "off|standard|strict",
     FIELD(security_level), sandbox_group,
     "Static check of Python code before it runs: a help for honest users, never the barrier."},
    {"ALLOWED_MODULES", SETTING_STRING, 0, "", 0, LIST_MAX, NULL, FIELD(allowed_modules),
     sandbox_group, "Modules that the static check permits in addition, separated by commas."},

    {"BUILD_TIMEOUT", SETTING_INT, 0, "1800", 1, SECONDS_MAX, NULL, FIELD(build_timeout),
     environment_group, "Seconds that making an environment or an image may take."},
    {"BUILD_CONCURRENCY", SETTING_INT, 0, "1", 1, 16, NULL, FIELD(build_concurrency),
     environment_group, "Builds at the same time; others wait in a queue."},
    {"BUILD_MEMORY", SETTING_BYTES, 0, "2g", 64 * MIB, 64 * TIB, NULL, FIELD(build_memory),
     environment_group, "Memory of a build, swap included."},
    {"BUILD_CPU", SETTING_MILLI, 0, "0", 0, 4096000, NULL, FIELD(build_cpu_milli),
     environment_group, "CPUs of a build; 0 is all of the machine."},
    {"BUILD_PROCESSES", SETTING_INT, 0, "512", 8, 1000000, NULL, FIELD(build_processes),
     environment_group, "Processes and threads of a build."},
    {"BUILD_DISK", SETTING_BYTES, 0, "10g", 64 * MIB, TIB, NULL, FIELD(build_disk),
     environment_group, "Bytes that an environment or an image may take up."},
    {"BUILD_LOG_LIMIT", SETTING_BYTES, 0, "8m", 64 * KIB, GIB, NULL, FIELD(build_log_limit),
     environment_group, "Bytes of a build's log that are kept."},
    {"BUILD_WEIGHT", SETTING_INT, 0, "25", 1, 100, NULL, FIELD(build_weight), environment_group,
     "Share of the CPU that a build gets beside runs, in percent of the share of a run."},
    {"DISK_RESERVE", SETTING_BYTES, 0, "1g", 0, 64 * TIB, NULL, FIELD(disk_reserve),
     environment_group, "Free space that a build must leave on the disk of DATA."},
    {"FORBIDDEN_SCRIPTS", SETTING_CHOICE, 0, "refuse", 0, 0, "refuse|warn",
     FIELD(forbidden_scripts), environment_group,
     "What happens to setup scripts with commands that the predecessor forbade."},
    {"ENVIRONMENT_LIMIT", SETTING_INT, 0, "1000", 0, 100000, NULL, FIELD(environment_limit),
     environment_group, "Environments at most."},
    {"ENVIRONMENTS_WARM", SETTING_INT, 0, "16", 1, LIMIT_NESTS - 1, NULL,
     FIELD(environments_warm), environment_group, "Environments in use at once, builds included."},
    {"ENVIRONMENT_IDLE", SETTING_INT, 0, "600", 1, DAYS_MAX * SECONDS_MAX, NULL,
     FIELD(environment_idle), environment_group,
     "Seconds after its last run until an environment gives up its processes and memory."},
    {"ZYGOTE_FORKS", SETTING_INT, 0, "20000", 1, 1000000000, NULL, FIELD(zygote_forks),
     environment_group, "Runs after which the interpreter that they are copied from is renewed."},
    {"ZYGOTE_MINUTES", SETTING_INT, 0, "240", 1, DAYS_MAX * 1440, NULL, FIELD(zygote_minutes),
     environment_group, "Minutes after which it is renewed in any case."},
    {"LEARN_MODULES", SETTING_BOOL, 0, "true", 0, 1, NULL, FIELD(learn_modules),
     environment_group,
     "Import ahead what the runs of an environment import, unless it has a warm list."},

    {"SE_PORT", SETTING_INT, 0, "0", 0, 65535, NULL, FIELD(se_port), session_group,
     "A second TCP port, for clients of sandbox_runtime that expect 9101; 0 is none."},
    {"SESSION_SIZE", SETTING_BYTES, 0, "100m", 64 * KIB, 64 * TIB, NULL, FIELD(session_size),
     session_group, "Bytes of a workspace when a request names none."},
    {"SESSION_MAX_SIZE", SETTING_BYTES, 0, "10g", 64 * KIB, 64 * TIB, NULL,
     FIELD(session_max_size), session_group, "Bytes of a workspace at most."},
    {"SESSION_LIMIT", SETTING_INT, 0, "20000", 0, 1000000, NULL, FIELD(session_limit),
     session_group, "Sessions at most."},
    {"SESSION_LIVE_LIMIT", SETTING_INT, 0, "1000", 1, LIMIT_SLOTS - 256, NULL,
     FIELD(session_live_limit), session_group, "Sessions that are awake at once."},
    {"SESSION_DISK", SETTING_BYTES, 0, "0", 0, 64 * TIB, NULL, FIELD(session_disk), session_group,
     "Bytes on the disk of all workspaces together; 0 is all but DISK_RESERVE."},
    {"SESSION_IDLE", SETTING_INT, 0, "600", 1, DAYS_MAX * SECONDS_MAX, NULL, FIELD(session_idle),
     session_group,
     "Seconds without use after which a session falls asleep: its processes end, its workspace "
     "stays."},
    {"WORKSPACE_EXPIRATION_TIME", SETTING_INT, 0, "86400", 0, DAYS_MAX * SECONDS_MAX, NULL,
     FIELD(session_ttl), session_group,
     "Seconds without use after which a session is deleted; 0 is never."},
    {"SESSION_MAX_AGE", SETTING_INT, 0, "0", 0, DAYS_MAX * SECONDS_MAX, NULL,
     FIELD(session_max_age), session_group,
     "Seconds after its creation when a session is deleted; 0 is never."},
    {"SESSION_TIMEOUT", SETTING_INT, 0, "300", 1, SECONDS_MAX, NULL, FIELD(session_timeout),
     session_group, "Seconds that a command in a session may take when a request names none."},
    {"SESSION_MAX_TIMEOUT", SETTING_INT, 0, "3600", 1, SECONDS_MAX, NULL,
     FIELD(session_max_timeout), session_group, "Seconds that it may ask for."},
    {"ALLOWED_COMMANDS", SETTING_STRING, 0, "", 0, LIST_MAX, NULL, FIELD(allowed_commands),
     session_group,
     "First words that /workspace/se/execute accepts, separated by commas; empty accepts all. A "
     "help for honest users, never the barrier."},

    {"FETCH_HOSTS", SETTING_STRING, 0, "", 0, LIST_MAX, NULL, FIELD(fetch_hosts), fetch_group,
     "Hosts that sessions may fetch from, as example.com, *.example.com or *, separated by commas; "
     "empty is off."},
    {"FETCH_MAX_SIZE", SETTING_BYTES, 0, "1g", KIB, 64 * TIB, NULL, FIELD(fetch_max_size),
     fetch_group, "Bytes of one file that is fetched."},
    {"DOWNLOADER_TIMEOUT", SETTING_INT, 0, "300", 1, SECONDS_MAX, NULL, FIELD(fetch_timeout),
     fetch_group, "Seconds that fetching one file may take."},
    {"EFAST_DOWNLOADER_URL", SETTING_STRING, 0, "http://efast-private:9123", 0, 1023, NULL,
     FIELD(efast_url), fetch_group, "Document store that download_from_efast asks."},
    {"EFAST_TOKEN", SETTING_STRING, SETTING_NO_FLAG, "", 0, 4095, NULL, FIELD(efast_token),
     fetch_group, "Its token for requests that bring none."},

    {"NETWORK_MODE", SETTING_CHOICE, 0, "none", 0, 0, "none|bridge", FIELD(network_mode),
     network_group, "Network of runs and environments that name none."},
    {"MAX_NETWORK", SETTING_CHOICE, 0, "bridge", 0, 0, "none|bridge", FIELD(max_network),
     network_group, "The most that a run or an environment may ask for."},
    {"BUILD_NETWORK", SETTING_CHOICE, 0, "bridge", 0, 0, "none|bridge", FIELD(build_network),
     network_group, "Network of setup scripts and of pulling images."},
    {"NETWORK_DNS", SETTING_STRING, 0, "", 0, 255, NULL, FIELD(network_dns), network_group,
     "Addresses of up to 3 resolvers, separated by commas; empty takes the host's own."},
    {"NETWORK_ALLOW", SETTING_STRING, 0, "", 0, 1023, NULL, FIELD(network_allow), network_group,
     "Up to 16 networks that can be reached although they are private, separated by commas."},
    {"NETWORK_RATE", SETTING_BYTES, 0, "50m", 0, TIB, NULL, FIELD(network_rate), network_group,
     "Bytes a second of one sandbox, each way; 0 is no limit."},
    {"NETWORK_CONNECTIONS", SETTING_INT, 0, "512", 1, 65535, NULL, FIELD(network_connections),
     network_group, "Connections of one sandbox at once."},

    {"REGISTRY_MIRROR", SETTING_STRING, 0, "", 0, 255, NULL, FIELD(registry_mirror),
     registry_group, "HOST[:PORT][/PATH] that images without a registry's name come from."},
    {"REGISTRIES", SETTING_STRING, 0, "", 0, 1023, NULL, FIELD(registries), registry_group,
     "HOST[:PORT] of registries that are reached over the host's own network, as private ones "
     "must be, separated by commas."},
    {"REGISTRY_INSECURE", SETTING_STRING, 0, "", 0, 1023, NULL, FIELD(registry_insecure),
     registry_group, "HOST[:PORT] of registries that are spoken to without TLS."},
    {"REGISTRY_AUTH_FILE", SETTING_STRING, 0, "", 0, 4095, NULL, FIELD(registry_auth_file),
     registry_group, "File with credentials, as docker login and podman login write it."},
    {"DEBIAN_MIRROR", SETTING_STRING, 0, "", 0, 255, NULL, FIELD(debian_mirror), registry_group,
     "URL of a Debian mirror for debootstrap images; empty takes the host's apt sources."},
};
/* clang-format on */

const size_t settings_count = sizeof settings_table / sizeof settings_table[0];
_Static_assert(sizeof settings_table / sizeof settings_table[0] <= SETTINGS_MAX,
               "raise SETTINGS_MAX");

const struct setting *setting_find(const char *name)
{
    for (size_t i = 0; i < settings_count; i++)
        if (strcmp(settings_table[i].name, name) == 0)
            return &settings_table[i];
    return NULL;
}

void setting_flag_name(const struct setting *row, char out[static SETTINGS_FLAG_BYTES])
{
    size_t i = 0;
    for (; row->name[i] && i + 1 < SETTINGS_FLAG_BYTES; i++)
        out[i] = row->name[i] == '_' ? '-' : (char)(row->name[i] | 0x20);
    out[i] = '\0';
}
