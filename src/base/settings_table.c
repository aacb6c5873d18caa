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

#define FIELD(f) offsetof(struct settings, f)

static const char listen_group[] = "Listening and access";
static const char state_group[] = "State and logs";
static const char load_group[] = "Load";
static const char request_group[] = "Requests";
static const char run_group[] = "Limits of a run when a request names none";
static const char ceiling_group[] = "Ceilings of what a request may ask for";
static const char sandbox_group[] = "Sandboxes";

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
    {"NETWORK_MODE", SETTING_CHOICE, 0, "none", 0, 0, "none|bridge", FIELD(network_mode),
     sandbox_group, "Network of a run; this version has only none."},
    {"SECURITY_LEVEL", SETTING_CHOICE, 0, "off", 0, 0, "off|standard|strict",
     FIELD(security_level), sandbox_group,
     "Static check of Python code before it runs: a help for honest users, never the barrier."},
    {"ALLOWED_MODULES", SETTING_STRING, 0, "", 0, LIST_MAX, NULL, FIELD(allowed_modules),
     sandbox_group, "Modules that the static check permits in addition, separated by commas."},
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
