/* load: a small HTTP/1.1 keep-alive load generator.
 *
 * One thread, one epoll, N connections.  Closed loop: each connection sends its next request when
 * it has its answer.  Open loop (--rate): request k is due at start + k / rate whatever the server
 * does, and its latency counts from that moment, also while it waits for a free connection; so a
 * stall of the server shows in every request that it delayed (no coordinated omission).
 *
 * Each answer is checked: status 200, and every --expect text in its body.  Runs as the user who
 * benches, against a server of ours, and counts whatever it does not understand as an error. */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "answer.h"
#include "samples.h"

#define MAX_EXPECT 8
#define SETTLE_NS  100000000    /* between connecting and the first request: all are accepted */
#define GRACE_NS   60000000000u /* how long answers may be outstanding at the end */
#define FIRST_BAD  400          /* bytes of the first wrong answer that are reported */
#define EVENTS     64

struct conn {
    int fd;
    bool busy;
    bool is_fresh;         /* has not sent a request yet */
    bool waits_for_output; /* EPOLLOUT is asked for */
    uint64_t due_ns;       /* when the request in flight should have started */
    size_t sent;
    struct answer answer;
};

struct options {
    const char *host, *path, *body_path, *token, *samples_path;
    unsigned port, connections;
    double rate;     /* requests per second; 0: closed loop */
    double duration; /* seconds; 0: until count */
    uint64_t count;  /* requests; 0: until duration */
    const char *expect[MAX_EXPECT];
    size_t nexpect;
};

struct errors {
    uint64_t status;    /* not 200 */
    uint64_t body;      /* an --expect text is missing */
    uint64_t transport; /* connection lost, or an answer that is not understood */
    uint64_t lost;      /* no answer at the end */
};

struct load {
    struct options opt;
    char *request;
    size_t request_len;
    int epoll, timer;
    struct conn *conns;
    struct conn **idle; /* stack of connections without a request */
    size_t nidle;
    uint64_t start_ns, interval_ns;
    uint64_t started, due, total; /* requests sent; that may be sent by now; of the whole run */
    bool expired;                 /* closed loop: the duration is over */
    uint64_t in_flight;
    struct errors errors;
    char first_bad[FIRST_BAD];
    size_t first_bad_len;
    struct samples samples;
};

/* -- connections -- */

static void conn_open(struct load *l, struct conn *c)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)l->opt.port)};
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = c};
    int one = 1;

    if (inet_pton(AF_INET, l->opt.host, &to.sin_addr) != 1)
        errx(2, "--host: %s is not an IPv4 address", l->opt.host);
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0)
        err(1, "socket");
    if (connect(c->fd, (struct sockaddr *)&to, sizeof to) != 0)
        err(1, "connect to %s:%u", l->opt.host, l->opt.port);
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (fcntl(c->fd, F_SETFL, O_NONBLOCK) != 0 ||
        epoll_ctl(l->epoll, EPOLL_CTL_ADD, c->fd, &ev) != 0)
        err(1, "set up a connection");
    c->busy = false;
    c->waits_for_output = false;
}

static void conn_reopen(struct load *l, struct conn *c)
{
    close(c->fd);
    conn_open(l, c);
}

static void conn_want_output(struct load *l, struct conn *c, bool want)
{
    struct epoll_event ev = {.events = EPOLLIN | (want ? EPOLLOUT : 0), .data.ptr = c};

    if (want == c->waits_for_output)
        return;
    if (epoll_ctl(l->epoll, EPOLL_CTL_MOD, c->fd, &ev) != 0)
        err(1, "epoll_ctl");
    c->waits_for_output = want;
}

static void conn_release(struct load *l, struct conn *c)
{
    c->busy = false;
    l->in_flight--;
    l->idle[l->nidle++] = c;
}

/* -- the course of one request -- */

static void note_first_bad(struct load *l, const char *bytes, size_t len)
{
    if (l->first_bad_len)
        return;
    l->first_bad_len = len < FIRST_BAD ? len : FIRST_BAD;
    memcpy(l->first_bad, bytes, l->first_bad_len);
}

static void fail_transport(struct load *l, struct conn *c, const char *why)
{
    l->errors.transport++;
    note_first_bad(l, why, strlen(why));
    conn_reopen(l, c);
    conn_release(l, c);
}

static void send_more(struct load *l, struct conn *c)
{
    while (c->sent < l->request_len) {
        ssize_t n = send(c->fd, l->request + c->sent, l->request_len - c->sent, MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN)
            break;
        /* The server may have answered and closed before it read everything: the answer is what
         * counts, and reading finds it, or the loss. */
        if (n < 0) {
            c->sent = l->request_len;
            break;
        }
        c->sent += (size_t)n;
    }
    conn_want_output(l, c, c->sent < l->request_len);
}

static void start_request(struct load *l, struct conn *c)
{
    if (l->interval_ns)
        c->due_ns = l->start_ns + l->started * l->interval_ns;
    else
        c->due_ns = c->is_fresh ? l->start_ns : now_ns();
    c->is_fresh = false;
    c->busy = true;
    c->sent = 0;
    answer_reset(&c->answer);
    l->started++;
    l->in_flight++;
    send_more(l, c);
}

static void start_due(struct load *l)
{
    uint64_t end_ns = l->start_ns + (uint64_t)(l->opt.duration * 1e9);

    if (!l->interval_ns && !l->opt.count && now_ns() >= end_ns)
        l->expired = true;
    while (!l->expired && l->nidle && l->started < l->due)
        start_request(l, l->idle[--l->nidle]);
}

static bool check_answer(struct load *l, const struct answer *a)
{
    if (!a->is_ok) {
        l->errors.status++;
        return false;
    }
    for (size_t i = 0; i < l->opt.nexpect; i++) {
        if (!answer_holds(a, l->opt.expect[i])) {
            l->errors.body++;
            return false;
        }
    }
    return true;
}

static void finish_answer(struct load *l, struct conn *c)
{
    uint64_t took = now_ns() - c->due_ns;

    if (check_answer(l, &c->answer))
        samples_add(&l->samples, took);
    else
        note_first_bad(l, c->answer.buf, c->answer.len);
    if (c->answer.closes)
        conn_reopen(l, c);
    conn_release(l, c);
}

static void receive(struct load *l, struct conn *c)
{
    size_t room;
    char *to = answer_room(&c->answer, &room);
    enum answer_state state;
    ssize_t n;

    if (!to)
        err(1, "answer");
    n = recv(c->fd, to, room, 0);
    if (n < 0 && errno == EAGAIN)
        return;
    if (!c->busy) { /* the server ended an idle connection, which is its right */
        conn_reopen(l, c);
        return;
    }
    if (n <= 0) {
        fail_transport(l, c, "the connection was closed before the answer");
        return;
    }
    state = answer_add(&c->answer, (size_t)n);
    if (state == ANSWER_WHOLE)
        finish_answer(l, c);
    else if (state == ANSWER_BAD)
        fail_transport(l, c, "an answer that is not understood");
}

/* -- the loop -- */

static bool is_over(const struct load *l)
{
    return l->in_flight == 0 && (l->expired || l->started >= l->total);
}

static void handle_timer(struct load *l)
{
    uint64_t ticks;

    if (read(l->timer, &ticks, sizeof ticks) != sizeof ticks)
        return;
    l->due += ticks;
    if (l->due > l->total)
        l->due = l->total;
}

static void run_loop(struct load *l)
{
    struct epoll_event events[EVENTS];
    uint64_t give_up = l->start_ns + (uint64_t)(l->opt.duration * 1e9) + GRACE_NS;

    start_due(l);
    while (!is_over(l)) {
        int n = epoll_wait(l->epoll, events, EVENTS, 1000);
        if (n < 0 && errno != EINTR)
            err(1, "epoll_wait");
        for (int i = 0; i < n; i++) {
            struct conn *c = events[i].data.ptr;
            if (!c)
                handle_timer(l);
            else if (events[i].events & ~(uint32_t)EPOLLOUT)
                receive(l, c);
            else
                send_more(l, c);
        }
        start_due(l);
        if (now_ns() > give_up)
            break;
    }
    l->errors.lost = l->in_flight;
}

/* -- preparation -- */

static char *read_body(const char *path, size_t *ret_len)
{
    FILE *f = fopen(path, "re");
    char *body;
    long len;

    if (!f || fseek(f, 0, SEEK_END) != 0 || (len = ftell(f)) < 0)
        err(1, "%s", path);
    rewind(f);
    body = malloc((size_t)len + 1);
    if (!body || fread(body, 1, (size_t)len, f) != (size_t)len)
        err(1, "%s", path);
    fclose(f);
    *ret_len = (size_t)len;
    return body;
}

static void make_request(struct load *l)
{
    const struct options *o = &l->opt;
    size_t body_len = 0;
    char *body = o->body_path ? read_body(o->body_path, &body_len) : NULL;
    FILE *f = open_memstream(&l->request, &l->request_len);

    if (!f)
        err(1, "request");
    fprintf(f, "%s %s HTTP/1.1\r\nHost: %s:%u\r\n", body ? "POST" : "GET", o->path, o->host,
            o->port);
    if (o->token)
        fprintf(f, "Authorization: Bearer %s\r\n", o->token);
    if (body)
        fprintf(f, "Content-Type: application/json\r\nContent-Length: %zu\r\n", body_len);
    fputs("\r\n", f);
    if (body)
        fwrite(body, 1, body_len, f);
    if (fclose(f) != 0)
        err(1, "request");
    free(body);
}

static void raise_descriptor_limit(unsigned connections)
{
    struct rlimit r;

    getrlimit(RLIMIT_NOFILE, &r);
    r.rlim_cur = r.rlim_max;
    setrlimit(RLIMIT_NOFILE, &r);
    if (r.rlim_cur < connections + 16)
        errx(1, "%u connections need a higher RLIMIT_NOFILE", connections);
}

static void open_connections(struct load *l)
{
    l->epoll = epoll_create1(EPOLL_CLOEXEC);
    l->conns = calloc(l->opt.connections, sizeof *l->conns);
    l->idle = calloc(l->opt.connections, sizeof(struct conn *));
    if (l->epoll < 0 || !l->conns || !l->idle)
        err(1, "prepare");
    for (unsigned i = 0; i < l->opt.connections; i++) {
        struct conn *c = &l->conns[i];
        conn_open(l, c);
        c->is_fresh = true;
        l->idle[l->nidle++] = c;
    }
    nanosleep(&(struct timespec){.tv_nsec = SETTLE_NS}, NULL);
}

static void start_clock(struct load *l)
{
    struct epoll_event ev = {.events = EPOLLIN};
    struct itimerspec when = {0};

    l->start_ns = now_ns();
    l->total = l->opt.count ? l->opt.count : UINT64_MAX;
    l->due = l->total;
    if (l->opt.rate <= 0)
        return;
    l->interval_ns = (uint64_t)(1e9 / l->opt.rate);
    if (!l->opt.count)
        l->total = (uint64_t)(l->opt.rate * l->opt.duration);
    l->due = 1;
    when.it_interval.tv_sec = (time_t)(l->interval_ns / 1000000000u);
    when.it_interval.tv_nsec = (long)(l->interval_ns % 1000000000u);
    uint64_t first = l->start_ns + l->interval_ns;
    when.it_value.tv_sec = (time_t)(first / 1000000000u);
    when.it_value.tv_nsec = (long)(first % 1000000000u);
    l->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (l->timer < 0 || timerfd_settime(l->timer, TFD_TIMER_ABSTIME, &when, NULL) != 0 ||
        epoll_ctl(l->epoll, EPOLL_CTL_ADD, l->timer, &ev) != 0)
        err(1, "timer");
}

/* -- the report -- */

static void print_string(const char *bytes, size_t len)
{
    putchar('"');
    for (size_t i = 0; i < len; i++) {
        unsigned char ch = (unsigned char)bytes[i];
        if (ch < 0x20 || ch > 0x7e || ch == '"' || ch == '\\')
            printf("\\u%04x", ch);
        else
            putchar(ch);
    }
    putchar('"');
}

static void print_report(struct load *l)
{
    const struct errors *e = &l->errors;
    double seconds = (double)(now_ns() - l->start_ns) / 1e9;
    struct rusage u;

    getrusage(RUSAGE_SELF, &u);
    printf("{\"done\":%zu,\"seconds\":%.4f,\"rate\":%.2f,\"cpu_us\":%lld,", l->samples.len, seconds,
           (double)l->samples.len / seconds,
           (long long)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000 + u.ru_utime.tv_usec +
               u.ru_stime.tv_usec);
    printf("\"errors\":%llu,\"errors_by_kind\":{\"status\":%llu,\"body\":%llu,\"transport\":%llu,"
           "\"lost\":%llu},\"first_bad\":",
           (unsigned long long)(e->status + e->body + e->transport + e->lost),
           (unsigned long long)e->status, (unsigned long long)e->body,
           (unsigned long long)e->transport, (unsigned long long)e->lost);
    print_string(l->first_bad, l->first_bad_len);
    putchar(',');
    samples_print(&l->samples, stdout);
    printf("}\n");
}

static void usage(void)
{
    errx(2, "usage: load --port N [--host IPv4] [--path /execute] [--body FILE.json] "
            "[--token KEY] [--connections N] [--rate R] [--duration S | --count N] "
            "[--expect TEXT]... [--samples FILE]");
}

static void parse(struct options *o, int argc, char **argv)
{
    static const struct option options[] = {
        {"host", required_argument, NULL, 'h'},    {"port", required_argument, NULL, 'p'},
        {"path", required_argument, NULL, 'u'},    {"body", required_argument, NULL, 'b'},
        {"token", required_argument, NULL, 't'},   {"connections", required_argument, NULL, 'n'},
        {"rate", required_argument, NULL, 'r'},    {"duration", required_argument, NULL, 'd'},
        {"count", required_argument, NULL, 'c'},   {"expect", required_argument, NULL, 'e'},
        {"samples", required_argument, NULL, 's'}, {0}};
    int c;

    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (c) {
        case 'h':
            o->host = optarg;
            break;
        case 'p':
            o->port = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case 'u':
            o->path = optarg;
            break;
        case 'b':
            o->body_path = optarg;
            break;
        case 't':
            o->token = optarg;
            break;
        case 'n':
            o->connections = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case 'r':
            o->rate = strtod(optarg, NULL);
            break;
        case 'd':
            o->duration = strtod(optarg, NULL);
            break;
        case 'c':
            o->count = strtoull(optarg, NULL, 10);
            break;
        case 's':
            o->samples_path = optarg;
            break;
        case 'e':
            if (o->nexpect == MAX_EXPECT)
                errx(2, "more than %d --expect", MAX_EXPECT);
            o->expect[o->nexpect++] = optarg;
            break;
        default:
            usage();
        }
    }
    if (optind != argc || !o->port || o->port > 65535 || !o->connections ||
        (o->count == 0) == (o->duration <= 0))
        usage();
}

int main(int argc, char **argv)
{
    struct load l = {.opt = {.host = "127.0.0.1", .path = "/execute", .connections = 1}};

    parse(&l.opt, argc, argv);
    make_request(&l);
    raise_descriptor_limit(l.opt.connections);
    open_connections(&l);
    start_clock(&l);
    run_loop(&l);
    if (l.opt.samples_path)
        samples_write(&l.samples, l.opt.samples_path);
    print_report(&l);
    for (unsigned i = 0; i < l.opt.connections; i++)
        answer_finish(&l.conns[i].answer);
    free(l.conns);
    free(l.idle);
    free(l.request);
    samples_finish(&l.samples);
    return 0;
}
