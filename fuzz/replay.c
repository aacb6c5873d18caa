/* replay: gives a fuzz target every file of the folders named, once.
 *
 * Runs as a unit test, with whatever compiler and sanitizer the build has.  A folder that does not
 * exist is empty.  It never changes a file. */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Inputs are small by nature; a larger file in a corpus is a mistake. */
enum { INPUT_MAX = 1 << 20 };

static void fail(const char *what)
{
    fprintf(stderr, "replay: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* The buffer is exactly as large as the input, so that reading beyond it is noticed. */
static void replay_file(const char *path)
{
    FILE *in = fopen(path, "rb");
    uint8_t *data = malloc(INPUT_MAX);
    uint8_t *exact;
    size_t size;

    if (in == NULL || data == NULL)
        fail(path);
    size = fread(data, 1, INPUT_MAX, in);
    if (ferror(in))
        fail(path);
    fclose(in);
    exact = malloc(size > 0 ? size : 1);
    if (exact == NULL)
        fail(path);
    memcpy(exact, data, size);
    free(data);
    LLVMFuzzerTestOneInput(exact, size);
    free(exact);
}

static int replay_folder(const char *folder)
{
    DIR *dir = opendir(folder);
    struct dirent *entry;
    char path[4096];
    int count = 0;

    if (dir == NULL && errno == ENOENT)
        return 0;
    if (dir == NULL)
        fail(folder);
    while ((entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] == '.')
            continue;
        if (snprintf(path, sizeof path, "%s/%s", folder, entry->d_name) >= (int)sizeof path)
            continue;
        fprintf(stderr, "%s\n", path);
        replay_file(path);
        count++;
    }
    closedir(dir);
    return count;
}

int main(int argc, char **argv)
{
    int count = 0;

    LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
    for (int i = 1; i < argc; i++)
        count += replay_folder(argv[i]);
    printf("%d inputs\n", count);
    return 0;
}
