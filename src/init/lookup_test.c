/* Tests of lookup, with programs of their own in a temporary folder. */
#include "init/lookup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/test_support.h"

static char folder[] = "/tmp/lookup_test.XXXXXX";
static char path[512]; /* PATH=: then the folders none, first, second */

static void make_file(const char *name, const char *text, mode_t mode)
{
    char file[128];
    FILE *f;

    snprintf(file, sizeof file, "%s/%s", folder, name);
    f = fopen(file, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    assert_int_equal(chmod(file, mode), 0);
}

static void make_folder(const char *name)
{
    char file[128];

    snprintf(file, sizeof file, "%s/%s", folder, name);
    assert_int_equal(mkdir(file, 0755), 0);
}

static int setup(void **state)
{
    if (mkdtemp(folder) == NULL)
        return -1;
    snprintf(path, sizeof path, "PATH=:%s/none:%s/first::%s/second", folder, folder, folder);
    make_folder("first");
    make_folder("second");
    make_folder("first/tool");
    make_file("first/plain", "#!/bin/sh\nexit 1\n", 0644);
    make_file("first/both", "#!/bin/sh\nexit 41\n", 0755);
    make_file("second/both", "#!/bin/sh\nexit 42\n", 0755);
    make_file("second/tool", "#!/bin/sh\nexit 43\n", 0755);
    make_file("second/python", "#!/bin/sh\nexit 44\n", 0755);
    make_file("second/sh", "#!/bin/sh\nexit 45\n", 0755);
    return 0;
}

static int teardown(void **state)
{
    char command[128];

    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command);
}

/* Exit status of the program, or minus the errno of looking for it. */
static int execute(const char *name, const char *list)
{
    char *argv[] = {(char *)name, NULL}, *envp[] = {(char *)"A=1", (char *)list, NULL};
    int status, pipefd[2], error = 0;
    pid_t pid;

    assert_int_equal(pipe2(pipefd, O_CLOEXEC), 0);
    pid = fork();
    if (pid == 0) {
        error = lookup_execute(argv, envp);
        _exit(write(pipefd[1], &error, sizeof error) < 0);
    }
    close(pipefd[1]);
    if (read(pipefd[0], &error, sizeof error) < 0)
        abort();
    close(pipefd[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return error != 0 ? error : WEXITSTATUS(status);
}

static void the_first_on_the_path_is_executed(void **state)
{
    assert_int_equal(execute("both", path), 41);
    assert_int_equal(execute("tool", path), 43); /* a directory of that name is passed over */
}

static void a_name_with_a_slash_is_not_looked_for(void **state)
{
    char name[128];

    snprintf(name, sizeof name, "%s/second/both", folder);
    assert_int_equal(execute(name, "PATH="), 42);
    assert_int_equal(execute("second/both", path), -ENOENT);
}

static void what_is_not_there_or_no_program_is_said(void **state)
{
    assert_int_equal(execute("nothing", path), -ENOENT);
    assert_int_equal(execute("both", "B=2"), -ENOENT);
    assert_int_equal(execute("plain", path), -EACCES);
    assert_int_equal(execute("", "PATH="), -ENOENT);
}

static void python_stands_in_for_python3_and_sh_for_bash(void **state)
{
    assert_int_equal(execute("python3", path), 44);
    assert_int_equal(execute("python2", path), -ENOENT);
    assert_int_equal(execute("bash", path), 45);
    assert_int_equal(execute("dash", path), -ENOENT);
}

static void the_first_executable_file_is_found(void **state)
{
    char found[128], wanted[128], little[8], list[300];

    snprintf(wanted, sizeof wanted, "%s/first/both", folder);
    assert_int_equal(lookup_find(path + 5, "both", found, sizeof found), 0);
    assert_string_equal(found, wanted);
    snprintf(wanted, sizeof wanted, "%s/second/tool", folder);
    assert_int_equal(lookup_find(path + 5, "tool", found, sizeof found), 0);
    assert_string_equal(found, wanted);
    assert_int_equal(lookup_find(path + 5, "plain", found, sizeof found), -1);
    assert_int_equal(lookup_find("", "both", found, sizeof found), -1);
    assert_int_equal(lookup_find(path + 5, "both", little, sizeof little), -1);
    snprintf(list, sizeof list, "%s/first", folder);
    assert_int_equal(lookup_find(list, "both", found, sizeof found), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_on_the_path_is_executed),
        cmocka_unit_test(a_name_with_a_slash_is_not_looked_for),
        cmocka_unit_test(what_is_not_there_or_no_program_is_said),
        cmocka_unit_test(python_stands_in_for_python3_and_sh_for_bash),
        cmocka_unit_test(the_first_executable_file_is_found),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
