/* Tests of execute, with an engine that starts runs and ends them when the test says so. */
#include "service/execute.h"

#include "base/log.h"
#include "base/test_support.h"
#include "engine/engine.h"
#include "engine/language.h"

/* -- the engine -- */

enum { RUNS_MAX = 8 };

struct run {
    struct run_spec *spec;
    struct run_events events;
    bool cancelled;
};

static struct run *runs[RUNS_MAX];
static int nruns;
static bool refuse_runs;

struct run *engine_run(struct engine *en, struct run_spec *spec, const struct run_events *events,
                       struct err *e)
{
    if (refuse_runs) {
        run_spec_destroy(spec);
        err_set(e, ERR_UNAVAILABLE, 0, "no memory");
        return NULL;
    }
    struct run *run = calloc(1, sizeof *run);
    run->spec = spec;
    run->events = *events;
    runs[nruns++] = run;
    return run;
}

void run_cancel(struct run *run)
{
    run->cancelled = true;
}

static void end_run(int i, enum run_outcome outcome)
{
    struct run *run = runs[i];
    struct run_result result = {.outcome = outcome};
    run_spec_destroy(run->spec);
    run->events.on_done(run->events.data, &result);
    free(run);
    runs[i] = NULL;
}

/* -- the callers -- */

struct caller {
    int started, done;
    size_t output;
    enum run_outcome outcome;
    struct execute_service *submit_again; /* from on_done, once */
};

static const struct language python = {.name = "python"};
static struct execution *submit(struct execute_service *s, struct caller *caller, struct err *e);

static void on_start(void *data)
{
    ((struct caller *)data)->started++;
}

static void on_output(void *data, int stream, const char *bytes, size_t len)
{
    ((struct caller *)data)->output += len;
}

static void on_done(void *data, struct run_result *result)
{
    struct caller *caller = data;
    struct execute_service *s = caller->submit_again;
    caller->done++;
    caller->outcome = result->outcome;
    run_result_finish(result);
    caller->submit_again = NULL;
    if (s)
        assert_non_null(submit(s, caller, NULL));
}

static struct execution *submit(struct execute_service *s, struct caller *caller, struct err *e)
{
    const struct run_events events = {on_start, on_output, on_done, caller};
    struct run_spec *spec = run_spec_create();
    assert_non_null(spec);
    spec->language = &python;
    spec->limits.memory_mb = 100;
    return execute_submit(s, spec, "client", &events, e);
}

static struct execute_service *make(uint32_t slots, uint32_t queue_max)
{
    struct err e = {0};
    const struct execute_config config = {
        .slots = slots, .queue_max = queue_max, .memory_mb = 1000};
    nruns = 0;
    refuse_runs = false;
    struct execute_service *s = execute_service_create(&config, &e);
    assert_non_null(s);
    return s;
}

static void assert_status(const struct execute_service *s, uint32_t running, uint32_t waiting)
{
    struct execute_status status = execute_status(s);
    assert_int_equal(status.running, running);
    assert_int_equal(status.waiting, waiting);
}

/* -- the tests -- */

static void test_a_run_starts_at_once_and_its_events_reach_the_caller(void **state)
{
    struct execute_service *s = make(1, 1);
    struct caller caller = {0};
    assert_non_null(submit(s, &caller, NULL));
    assert_int_equal(nruns, 1);
    runs[0]->events.on_start(runs[0]->events.data);
    runs[0]->events.on_output(runs[0]->events.data, 1, "abc", 3);
    end_run(0, RUN_EXITED);
    assert_int_equal(caller.started, 1);
    assert_int_equal(caller.output, 3);
    assert_int_equal(caller.done, 1);
    assert_status(s, 0, 0);
    execute_service_destroy(s);
}

static void test_a_queued_run_starts_when_another_ends(void **state)
{
    struct execute_service *s = make(1, 1);
    struct caller first = {0}, second = {0}, third = {0};
    struct err e = {0};
    submit(s, &first, NULL);
    submit(s, &second, NULL);
    assert_null(submit(s, &third, &e));
    assert_int_equal(e.code, ERR_UNAVAILABLE);
    assert_int_equal(nruns, 1);
    end_run(0, RUN_EXITED);
    assert_int_equal(nruns, 2);
    end_run(1, RUN_TIMEOUT);
    assert_int_equal(second.outcome, RUN_TIMEOUT);
    execute_service_destroy(s);
}

static void test_a_cancelled_waiter_frees_its_place_and_never_runs(void **state)
{
    struct execute_service *s = make(1, 1);
    struct caller first = {0}, second = {0}, third = {0};
    submit(s, &first, NULL);
    execute_cancel(submit(s, &second, NULL));
    assert_status(s, 1, 0);
    assert_non_null(submit(s, &third, NULL));
    end_run(0, RUN_EXITED);
    end_run(1, RUN_EXITED);
    assert_int_equal(second.done, 0);
    assert_int_equal(third.done, 1);
    assert_int_equal(nruns, 2);
    execute_service_destroy(s);
}

static void test_a_cancelled_run_holds_its_slot_until_it_has_ended(void **state)
{
    struct execute_service *s = make(1, 1);
    struct caller first = {0}, second = {0};
    struct execution *x = submit(s, &first, NULL);
    submit(s, &second, NULL);
    execute_cancel(x);
    assert_true(runs[0]->cancelled);
    assert_status(s, 1, 1);
    runs[0]->events.on_start(runs[0]->events.data);
    runs[0]->events.on_output(runs[0]->events.data, 1, "x", 1);
    end_run(0, RUN_CANCELLED);
    assert_int_equal(first.done + first.started + (int)first.output, 0);
    assert_int_equal(nruns, 2);
    end_run(1, RUN_EXITED);
    execute_service_destroy(s);
}

static void test_a_caller_may_submit_from_its_last_event(void **state)
{
    struct execute_service *s = make(1, 2);
    struct caller first = {.submit_again = s}, second = {0};
    submit(s, &first, NULL);
    submit(s, &second, NULL);
    end_run(0, RUN_EXITED); /* second starts, first waits again */
    assert_status(s, 1, 1);
    end_run(1, RUN_EXITED);
    end_run(2, RUN_EXITED);
    assert_int_equal(first.done, 2);
    assert_int_equal(second.done, 1);
    execute_service_destroy(s);
}

static void test_an_engine_without_memory_is_the_submitters_error(void **state)
{
    struct execute_service *s = make(1, 2);
    struct caller first = {0}, second = {0}, third = {0};
    struct err e = {0};
    submit(s, &first, NULL);
    submit(s, &second, NULL);
    refuse_runs = true;
    end_run(0, RUN_EXITED); /* second was queued: it is told by its event */
    assert_int_equal(second.done, 1);
    assert_int_equal(second.outcome, RUN_FAILED);
    assert_null(submit(s, &third, &e));
    assert_int_equal(e.code, ERR_UNAVAILABLE);
    assert_int_equal(third.done, 0);
    assert_status(s, 0, 0);
    execute_service_destroy(s);
}

static void test_the_service_can_end_with_runs_that_wait(void **state)
{
    struct execute_service *s = make(1, 5);
    struct caller callers[3] = {0};
    for (int i = 0; i < 3; i++)
        submit(s, &callers[i], NULL);
    run_spec_destroy(runs[0]->spec); /* as engine_destroy() would */
    free(runs[0]);
    execute_service_destroy(s);
    assert_int_equal(callers[0].done + callers[1].done, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_run_starts_at_once_and_its_events_reach_the_caller),
        cmocka_unit_test(test_a_queued_run_starts_when_another_ends),
        cmocka_unit_test(test_a_cancelled_waiter_frees_its_place_and_never_runs),
        cmocka_unit_test(test_a_cancelled_run_holds_its_slot_until_it_has_ended),
        cmocka_unit_test(test_a_caller_may_submit_from_its_last_event),
        cmocka_unit_test(test_an_engine_without_memory_is_the_submitters_error),
        cmocka_unit_test(test_the_service_can_end_with_runs_that_wait),
    };
    log_init("test", LOG_WARNING, LOG_TEXT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
