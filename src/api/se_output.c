/* se_output: writes the answers of execute and execute_code.  Runs in the server's loop thread;
 * what a program printed is hostile: it is escaped, and what is not UTF-8 is replaced. */
#include "api/se_output.h"

#include <string.h>

#include "api/session_foreground.h"
#include "api/text.h"

#define CODE_TIMEOUT   124 /* as timeout(1) */
#define CODE_UNSTARTED 127
#define CODE_SIGNAL    128
#define CODE_LOST      137 /* killed */

static int code_of(const struct process_result *r)
{
    if (r->error)
        return CODE_UNSTARTED;
    if (r->timed_out)
        return CODE_TIMEOUT;
    if (r->lost)
        return CODE_LOST;
    return r->signal ? CODE_SIGNAL + r->signal : r->exit_code;
}

static const char *word(bool value)
{
    return value ? "true" : "false";
}

int se_append_output(struct buf *out, const struct session_heard *heard)
{
    const struct process_result *r = &heard->outcome->view.result;
    const struct buf *text = heard->text;
    const char *said = text[1].data;
    size_t len = text[1].len;
    int code = code_of(r);
    if (r->error && len == 0) {
        said = r->error;
        len = strlen(said);
    }
    return buf_append_str(out, "{\"stdout\":") | text_append_json(out, text[0].data, text[0].len) |
           buf_append_str(out, ",\"stderr\":") | text_append_json(out, said, len) |
           buf_printf(
               out,
               ",\"returncode\":%d,\"exit_code\":%d,\"timed_out\":%s,\"stdout_truncated\":%s,"
               "\"stderr_truncated\":%s,\"duration_ms\":%.2f,\"cpu_ms\":%.2f,\"error\":%s",
               code, code, word(r->timed_out), word(heard->outcome->truncated[0]),
               word(heard->outcome->truncated[1]), (double)r->wall_us / 1000,
               (double)r->cpu_us / 1000,
               r->lost ? "\"the session's sandbox ended (it was deleted, or out of memory)\""
                       : "null");
}
