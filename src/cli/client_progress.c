/* client_progress: one line on a terminal that says what is being waited for.
 *
 * Runs in dunlin-client, as whoever calls it.  Shows the ends of build logs, which are hostile:
 * nothing but escaped text may come here. */
#include "cli/client_progress.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/client_text.h"

#define FRAME_US        100000
#define COLUMNS_DEFAULT 80
#define US_PER_S        1000000u

void client_progress_start(struct client_progress *p)
{
    const char *term = getenv("TERM");

    *p = (struct client_progress){.start_us = clock_now_us()};
    p->shown = isatty(STDOUT_FILENO) != 0 && term != NULL && strcmp(term, "dumb") != 0;
}

unsigned client_progress_seconds(const struct client_progress *p)
{
    return (unsigned)((clock_now_us() - p->start_us) / US_PER_S);
}

void client_progress_set_detail(struct client_progress *p, const char *text, size_t len)
{
    _cleanup_buf_ struct buf clean = {0};

    p->detail[0] = '\0';
    if (client_text_escape(&clean, text, len, false) < 0 || buf_append(&clean, "", 1) < 0)
        return;
    /* A cut at a number of bytes could fall into a character, one at a number of columns cannot;
     * four bytes are the longest character. */
    clean.data[client_text_fit(clean.data, sizeof p->detail / 4 - 1, NULL)] = '\0';
    snprintf(p->detail, sizeof p->detail, "%s", clean.data);
}

static int append_fitting(struct buf *out, const char *text, size_t *columns)
{
    size_t used, n = client_text_fit(text, *columns, &used);

    *columns -= used;
    return buf_append(out, text, n);
}

int client_progress_line(const struct client_progress *p, uint64_t now_us, size_t columns,
                         struct buf *out)
{
    static const char *const frames[] = {"⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"};
    uint64_t elapsed = now_us - p->start_us;
    unsigned seconds = (unsigned)(elapsed / US_PER_S);
    char head[160];

    snprintf(head, sizeof head, "%s %s %u:%02u", frames[elapsed / FRAME_US % 10], p->what,
             seconds / 60, seconds % 60);
    if (append_fitting(out, head, &columns) < 0)
        return -1;
    if (p->detail[0] == '\0' || columns < 8)
        return 0;
    if (append_fitting(out, "  ", &columns) < 0)
        return -1;
    return append_fitting(out, p->detail, &columns);
}

void client_progress_draw(void *data)
{
    struct client_progress *p = data;
    _cleanup_buf_ struct buf line = {0};
    uint64_t now_us = clock_now_us(), frame = (now_us - p->start_us) / FRAME_US + 1;
    struct winsize size = {0};
    size_t columns = COLUMNS_DEFAULT;

    if (!p->shown || frame == p->drawn)
        return;
    p->drawn = frame;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        columns = size.ws_col;
    /* The last column stays free: a full line would wrap on some terminals. */
    if (client_progress_line(p, now_us, columns - 1, &line) < 0 || line.len == 0)
        return;
    printf("\r%.*s\033[K", (int)line.len, line.data);
    fflush(stdout);
}

void client_progress_clear(struct client_progress *p)
{
    if (!p->shown)
        return;
    p->drawn = 0;
    fputs("\r\033[K", stdout);
    fflush(stdout);
}
