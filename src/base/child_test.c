/* Tests of child. */
#include "base/child.h"

#include <errno.h>
#include <signal.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/test_support.h"

static int alarms;

static void on_alarm(int number)
{
    alarms++;
}

static pid_t start(unsigned wait_us, int status)
{
    pid_t pid = fork();

    if (pid == 0) {
        usleep(wait_us);
        _exit(status);
    }
    assert_true(pid > 0);
    return pid;
}

static void the_wait_status_is_told_and_nothing_is_left(void **state)
{
    int status = child_reap(start(0, 3));

    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 3);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
}

static void a_signal_does_not_end_the_wait(void **state)
{
    const struct itimerval often = {.it_interval = {0, 2000}, .it_value = {0, 2000}};
    const struct itimerval never = {0};
    struct sigaction before, action = {.sa_handler = on_alarm};
    pid_t pid = start(50000, 0);

    sigaction(SIGALRM, &action, &before);
    setitimer(ITIMER_REAL, &often, NULL);
    assert_int_equal(child_reap(pid), 0);
    setitimer(ITIMER_REAL, &never, NULL);
    sigaction(SIGALRM, &before, NULL);
    assert_true(alarms > 0);
}

static void who_is_no_child_is_not_waited_for(void **state)
{
    assert_int_equal(child_reap(getppid()), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_wait_status_is_told_and_nothing_is_left),
        cmocka_unit_test(a_signal_does_not_end_the_wait),
        cmocka_unit_test(who_is_no_child_is_not_waited_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
