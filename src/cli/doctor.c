/* doctor: the command itself: words, order, output.  Runs in the command line, as root if sandboxes
 * are to be run.  Changes nothing on the machine that outlives it. */
#include "cli/doctor.h"

#include <getopt.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/str.h"
#include "cli/doctor_internal.h"

#define DATA_DEFAULT "/var/lib/dunlin"
#define NAME_COLUMN  25

enum { EXIT_OK, EXIT_CANNOT_RUN, EXIT_USAGE };

const char *doctor_data = DATA_DEFAULT;

static const char usage[] =
    "Usage: dunlin doctor [--json] [--data DIR]\n"
    "\n"
    "Tries everything that sandboxes need of this machine, and says what is missing, what that\n"
    "costs, and which command enables it.  Nothing is changed.\n"
    "\n"
    "  --json      one object {ok, checks} instead of text\n"
    "  --data DIR  directory of everything that is kept (DATA, default " DATA_DEFAULT ")\n"
    "\n"
    "Exit status: 0 sandboxes can run, 1 they cannot, 2 wrong words on the command line.\n";

static const char *const status_names[] = {"ok", "degraded", "missing"};

/* Where a check's remedy stands: what the probe found out comes first. */
static const char *remedy(const struct doctor_check *check, const struct doctor_finding *f)
{
    return f->fix[0] ? f->fix : check->fix;
}

static void print_text(const struct doctor_check *check, const struct doctor_finding *f)
{
    static const char *const marks[] = {"✓", "!", "✗"};
    static const char *const colours[] = {"\033[32m", "\033[33m", "\033[31m"};
    const char *no_colour = getenv("NO_COLOR");
    bool colour = isatty(STDOUT_FILENO) && !(no_colour && *no_colour);
    printf("%s%s%s %-*s%s%s\n", colour ? colours[f->status] : "", marks[f->status],
           colour ? "\033[0m" : "", f->detail[0] ? NAME_COLUMN : 0, check->name,
           f->detail[0] ? " " : "", f->detail);
    if (f->status != DOCTOR_OK)
        printf("    cost:   %s\n    enable: %s\n", check->cost, remedy(check, f));
}

static void print_summary(size_t missing, size_t degraded)
{
    if (missing > 0)
        printf("\nSandboxes cannot run: %zu of %zu checks failed.\n", missing, doctor_checks_count);
    else if (degraded > 0)
        printf("\nSandboxes can run; %zu of %zu checks found something to improve.\n", degraded,
               doctor_checks_count);
    else
        printf("\nSandboxes can run; all %zu checks passed.\n", doctor_checks_count);
}

/* A detail may hold a path, which need not be UTF-8. */
static json_t *json_text(const char *text)
{
    _cleanup_buf_ struct buf b = {0};
    if (utf8_append(&b, text, strlen(text)) < 0)
        return NULL;
    return json_stringn(b.data ? b.data : "", b.len);
}

/* Adds one check to the list; 0 or -1. */
static int add_json(json_t *list, const struct doctor_check *check, const struct doctor_finding *f)
{
    bool ok = f->status == DOCTOR_OK;
    json_t *item =
        json_pack("{s:s, s:s, s:o, s:s?, s:o}", "name", check->name, "status",
                  status_names[f->status], "detail", json_text(f->detail), "cost",
                  ok ? NULL : check->cost, "fix", ok ? json_null() : json_text(remedy(check, f)));
    return json_array_append_new(list, item);
}

static int print_json(json_t *list, bool ok)
{
    json_t *all = json_pack("{s:b, s:O}", "ok", ok, "checks", list);
    int result = all ? json_dumpf(all, stdout, JSON_INDENT(2)) : -1;
    json_decref(all);
    putchar('\n');
    return result;
}

static int run_checks(bool json)
{
    size_t counts[3] = {0};
    json_t *list = json_array();
    for (size_t i = 0; i < doctor_checks_count; i++) {
        struct doctor_finding f;
        doctor_run(&doctor_checks[i], &f);
        counts[f.status]++;
        if (!json)
            print_text(&doctor_checks[i], &f);
        else if (add_json(list, &doctor_checks[i], &f) < 0)
            counts[DOCTOR_MISSING]++;
    }
    bool ok = counts[DOCTOR_MISSING] == 0;
    if (!json)
        print_summary(counts[DOCTOR_MISSING], counts[DOCTOR_DEGRADED]);
    else if (print_json(list, ok) < 0)
        ok = false;
    json_decref(list);
    return ok ? EXIT_OK : EXIT_CANNOT_RUN;
}

static int refuse(const char *what, const char *word)
{
    fprintf(stderr, "dunlin doctor: %s %s\n%s", what, word, usage);
    return EXIT_USAGE;
}

int cli_doctor(int argc, char **argv)
{
    static const struct option options[] = {{"json", no_argument, NULL, 'j'},
                                            {"data", required_argument, NULL, 'd'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    bool json = false;
    const char *data = getenv("DATA");
    doctor_data = data && *data ? data : DATA_DEFAULT;
    opterr = 0;
    optind = 0;
    for (int c; (c = getopt_long(argc, argv, "+:h", options, NULL)) != -1;) {
        switch (c) {
        case 'j':
            json = true;
            break;
        case 'd':
            doctor_data = optarg;
            break;
        case 'h':
            fputs(usage, stdout);
            return EXIT_OK;
        case ':':
            return refuse("a value is needed for", argv[optind - 1]);
        default:
            return refuse("unknown flag", argv[optind - 1]);
        }
    }
    if (optind < argc)
        return refuse("unexpected word", argv[optind]);
    if (doctor_data[0] == '\0')
        return refuse("a directory is needed for", "--data");
    return run_checks(json);
}
