/* line: a command line that means the same with a shell and without one.
 *
 * Runs in a session's process just before it becomes its program, with every lock on already.  To
 * start bash for `ls -l` costs as much again as ls.  The line is hostile, and is only cut into
 * words here.  Must never run anything that bash would not, or otherwise than bash would: what is
 * not surely the same goes to bash.
 *
 * bash -c with one simple command becomes the program (ONESHOT in its execute_cmd.c): the same pid,
 * descriptors and signals; in the environment there are PWD, SHLVL, which is 0 then, and _. */
#include "init/line.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "init/lookup.h"

#define BASH            "/bin/bash"
#define ENVIRONMENT_MAX 1024 /* variables; with more it is the shell's */
#define OURS            3    /* PWD, SHLVL, _ */

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS  "0123456789"
#define PLAIN   LETTERS DIGITS "_/.,:=@%+-"

/* Builtins and reserved words of bash 5, and what shows the order of its environment. */
static const char *const of_shells[] = {
    "alias",    "bg",      "bind",     "break",     "builtin",  "caller",  "case",     "cd",
    "command",  "compgen", "complete", "compopt",   "continue", "coproc",  "declare",  "dirs",
    "disown",   "do",      "done",     "elif",      "else",     "enable",  "env",      "esac",
    "eval",     "exec",    "exit",     "export",    "fc",       "fg",      "fi",       "for",
    "function", "getopts", "hash",     "help",      "history",  "if",      "in",       "jobs",
    "kill",     "let",     "local",    "logout",    "mapfile",  "popd",    "printenv", "printf",
    "pushd",    "pwd",     "read",     "readarray", "readonly", "return",  "select",   "set",
    "shift",    "shopt",   "source",   "suspend",   "test",     "then",    "time",     "times",
    "trap",     "type",    "typeset",  "ulimit",    "umask",    "unalias", "unset",    "until",
    "wait",     "while",   NULL};
/* Builtins that do the same as the programs of their names, as long as no option is among the
 * words. */
static const char *const alike[] = {"echo", "false", "true", NULL};

/* Variables that bash does not leave as they are, or that change what it does. */
static const char *const of_bash[] = {
    "_",          "COLUMNS",  "DIRSTACK",   "EPOCHREALTIME", "EPOCHSECONDS", "EUID",
    "EXECIGNORE", "FUNCNAME", "GROUPS",     "HISTCMD",       "HOSTTYPE",     "IFS",
    "LINENO",     "LINES",    "MACHTYPE",   "OLDPWD",        "OPTARG",       "OPTERR",
    "OPTIND",     "OSTYPE",   "PIPESTATUS", "PPID",          "PS4",          "PWD",
    "RANDOM",     "SECONDS",  "SHELL",      "SHELLOPTS",     "SHLVL",        "SRANDOM",
    "UID",        NULL};
static const char *const of_bash_all[] = {"BASH", "COMP", "LC_", "POSIX", NULL};

static bool is_among(const char *word, size_t len, const char *const *list)
{
    for (; *list != NULL; list++) {
        if (strlen(*list) == len && memcmp(*list, word, len) == 0)
            return true;
    }
    return false;
}

/* Copies the word at *at and moves *at and *to behind it.  False: there is more to it than that. */
static bool take_word(const char **at, char **to)
{
    const char *s = *at;

    while (*s != '\0' && *s != ' ') {
        size_t n = *s == '\'' ? strcspn(s + 1, "'") : strspn(s, PLAIN);

        if (*s == '\'' && s[n + 1] != '\'')
            return false;
        if (*s != '\'' && n == 0)
            return false;
        memcpy(*to, *s == '\'' ? s + 1 : s, n);
        *to += n;
        s += *s == '\'' ? n + 2 : n;
    }
    *(*to)++ = '\0';
    *at = s;
    return true;
}

/* A program's name or path, written without quotes. */
static bool is_program(const char *line, const char *word)
{
    size_t len = strcspn(line, " ");

    return strlen(word) == len && memcmp(line, word, len) == 0 && strchr(word, '=') == NULL &&
           (strchr(LETTERS DIGITS "_/", word[0]) != NULL || strncmp(word, "./", 2) == 0 ||
            strncmp(word, "../", 3) == 0) &&
           !is_among(word, len, of_shells);
}

static bool has_options(char *const *words)
{
    while (*++words != NULL) {
        if (**words == '-')
            return true;
    }
    return false;
}

size_t line_split(const char *line, char text[static LINE_BYTES],
                  char *words[static LINE_WORDS + 1])
{
    char *to = text;
    size_t n = 0;

    line += strspn(line, " ");
    if (strlen(line) >= LINE_BYTES)
        return 0;
    for (const char *at = line; *at != '\0'; at += strspn(at, " ")) {
        if (n == LINE_WORDS)
            return 0;
        words[n++] = to;
        if (!take_word(&at, &to))
            return 0;
    }
    words[n] = NULL;
    if (n == 0 || !is_program(line, words[0]))
        return 0;
    return is_among(words[0], strlen(words[0]), alike) && has_options(words) ? 0 : n;
}

static bool is_plain_name(const char *name, size_t len)
{
    if (strspn(name, LETTERS DIGITS "_") != len || strchr(DIGITS, name[0]) != NULL)
        return false;
    for (const char *const *all = of_bash_all; *all != NULL; all++) {
        if (strncmp(name, *all, strlen(*all)) == 0)
            return false;
    }
    return !is_among(name, len, of_bash);
}

/* bash looks for programs in the current directory for an element that is none. */
static bool is_plain_path(const char *path)
{
    for (;; path++) {
        if (*path != '/')
            return false;
        path += strcspn(path, ":");
        if (*path == '\0')
            return true;
    }
}

bool line_is_plain_environment(char *const *envp)
{
    size_t n = 0;
    bool has_path = false;

    for (; *envp != NULL; envp++) {
        const char *end = strchr(*envp, '=');

        if (++n > ENVIRONMENT_MAX || end == NULL || end == *envp ||
            !is_plain_name(*envp, (size_t)(end - *envp)))
            return false;
        if (strncmp(*envp, "PATH=", 5) == 0) {
            if (has_path || !is_plain_path(end + 1))
                return false;
            has_path = true;
        }
    }
    return has_path;
}

static bool is_bash_line(char *const *argv)
{
    return (strcmp(argv[0], "bash") == 0 || strcmp(argv[0], BASH) == 0) && argv[1] != NULL &&
           strcmp(argv[1], "-c") == 0 && argv[2] != NULL && argv[3] == NULL;
}

/* The file that bash would execute; where there is no bash, whoever is asked for it tells. */
static bool find(const char *bash, const char *name, char *const *envp, char out[static PATH_MAX])
{
    while (strncmp(*envp, "PATH=", 5) != 0)
        envp++;
    if (strchr(bash, '/') != NULL ? access(bash, X_OK) < 0
                                  : lookup_find(*envp + 5, bash, out, PATH_MAX) < 0)
        return false;
    if (strchr(name, '/') == NULL)
        return lookup_find(*envp + 5, name, out, PATH_MAX) == 0;
    return snprintf(out, PATH_MAX, "%s", name) < PATH_MAX;
}

void line_execute(char *const *argv, char *const *envp)
{
    char text[LINE_BYTES], file[PATH_MAX], cwd[PATH_MAX];
    char set_cwd[PATH_MAX + 4] = "PWD=", set_file[PATH_MAX + 2] = "_=", set_level[] = "SHLVL=0";
    char *words[LINE_WORDS + 1], *env[ENVIRONMENT_MAX + OURS + 1];
    size_t n = 0;

    if (!is_bash_line(argv) || line_split(argv[2], text, words) == 0 ||
        !line_is_plain_environment(envp) || !find(argv[0], words[0], envp, file) ||
        getcwd(cwd, sizeof cwd) == NULL || cwd[0] != '/')
        return;
    for (; envp[n] != NULL; n++)
        env[n] = envp[n];
    snprintf(set_cwd, sizeof set_cwd, "PWD=%s", cwd);
    snprintf(set_file, sizeof set_file, "_=%s", file);
    env[n++] = set_cwd;
    env[n++] = set_level;
    env[n++] = set_file;
    env[n] = NULL;
    execve(file, words, env);
}
