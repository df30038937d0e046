/* What libFuzzer does, for compilers without it: mutates inputs, keeps those that reach new code, for a bounded time.
 *
 *   target [-max_total_time=SECONDS] [-seed=N] [-artifact_prefix=PATH] FOLDER…    fuzz, beginning with the files of the folders
 *   target FILE…                                                                run these inputs once each
 *
 * The code under test is compiled with -fsanitize-coverage=trace-pc, this file without. */

#define _GNU_SOURCE
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LONGEST 4096
#define MOST_INPUTS 8192
#define EDGES 65536

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
    uint8_t *data;
    size_t size;
};

static struct input inputs[MOST_INPUTS];
static size_t count;

/* What runs at the moment: outlives a child that dies of it. */
static struct current {
    size_t size, runs, inputs, edges;
    uint8_t data[LONGEST];
} *current;

/* Edges between basic blocks, by the addresses of both. */
static uint8_t known[EDGES], hit[EDGES];
static uint32_t touched[EDGES], touches;
static uintptr_t before;

void __sanitizer_cov_trace_pc(void);

void __sanitizer_cov_trace_pc(void) {
    uintptr_t at = (uintptr_t)__builtin_return_address(0);
    uint32_t edge = (uint32_t)((at ^ before >> 1) * 0x9E3779B97F4A7C15ull >> 48);
    before = at;
    if (!hit[edge]) {
        hit[edge] = 1;
        touched[touches++] = edge;
    }
}

/* Whether the input reached what none before did. */
static int run(void) {
    int new = 0;
    before = touches = 0;
    LLVMFuzzerTestOneInput(current->data, current->size);
    current->runs++;
    for (uint32_t at = 0; at < touches; at++) {
        hit[touched[at]] = 0;
        if (!known[touched[at]]) {
            known[touched[at]] = 1;
            current->edges++;
            new = 1;
        }
    }
    return new;
}

static void keep(void) {
    if (count == MOST_INPUTS)
        return;
    uint8_t *copy = malloc(current->size + 1);
    if (!copy)
        abort();
    memcpy(copy, current->data, current->size);
    inputs[count++] = (struct input){copy, current->size};
    current->inputs = count;
}

static uint64_t state;

static uint32_t below(size_t limit) {
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    return limit ? (uint32_t)((state >> 32) * limit >> 32) : 0;
}

static const uint8_t EDGY[] = {0, 1, 0x7F, 0x80, 0x81, 0x90, 0xA0, 0xC0, 0xC8, 0xC9, 0xFF};

static void mutate(void) {
    uint8_t *data = current->data;
    size_t size = current->size, at = below(size), length;
    const struct input *other = &inputs[below(count)];
    switch (below(8)) {
    case 0:
        if (size)
            data[at] ^= (uint8_t)(1u << below(8));
        break;
    case 1:
        if (size)
            data[at] = (uint8_t)below(256);
        break;
    case 2:
        if (size)
            data[at] = EDGY[below(sizeof EDGY)];
        break;
    case 3: /* leave some out */
        length = below(size - at) % 64;
        memmove(data + at, data + at + length, size - at - length);
        current->size -= length;
        break;
    case 4: /* put some in */
        length = 1 + below(16);
        if (size + length > LONGEST)
            break;
        memmove(data + at + length, data + at, size - at);
        for (size_t each = 0; each < length; each++)
            data[at + each] = (uint8_t)below(256);
        current->size += length;
        break;
    case 5: /* some of it again */
        length = below(size - at) % 256;
        if (size + length > LONGEST)
            break;
        memmove(data + at + length, data + at, size - at);
        current->size += length;
        break;
    case 6: /* the end of another */
        length = below(other->size + 1);
        if (at + length > LONGEST)
            break;
        memcpy(data + at, other->data + other->size - length, length);
        current->size = at + length;
        break;
    default: /* end here */
        current->size = below(8) ? size : at;
    }
}

static void load(const char *path) {
    FILE *file = fopen(path, "rb");
    if (!file) {
        perror(path);
        exit(2);
    }
    current->size = fread(current->data, 1, LONGEST, file);
    fclose(file);
}

static void load_folder(const char *path) {
    struct dirent **names;
    int found = scandir(path, &names, NULL, alphasort);
    for (int each = 0; each < found; each++) {
        char whole[4096];
        struct stat about;
        snprintf(whole, sizeof whole, "%s/%s", path, names[each]->d_name);
        if (stat(whole, &about) == 0 && S_ISREG(about.st_mode)) {
            load(whole);
            run();
            keep();
        }
        free(names[each]);
    }
    if (found >= 0)
        free(names);
}

static double now(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (double)at.tv_sec + (double)at.tv_nsec * 1e-9;
}

static void fuzz(double seconds) {
    double end = now() + seconds;
    current->size = 0;
    run();
    keep();
    while (now() < end)
        for (int each = 0; each < 64; each++) {
            const struct input *base = &inputs[below(4) ? count - 1 - below(count) % 64 : below(count)]; /* the newest promise most */
            memcpy(current->data, base->data, base->size);
            current->size = base->size;
            for (uint32_t times = 1 + below(6); times; times--)
                mutate();
            if (run())
                keep();
        }
    for (size_t each = 0; each < count; each++)
        free(inputs[each].data);
}

int main(int arguments, char **argument) {
    double seconds = 60;
    const char *prefix = "";
    uint64_t seed = (uint64_t)time(NULL);
    int first = 1;
    for (; first < arguments && argument[first][0] == '-'; first++) {
        sscanf(argument[first], "-max_total_time=%lf", &seconds);
        sscanf(argument[first], "-seed=%lu", &seed);
        if (strncmp(argument[first], "-artifact_prefix=", 17) == 0)
            prefix = argument[first] + 17;
    }
    state = seed * 0x9E3779B97F4A7C15ull | 1;
    current = mmap(NULL, sizeof *current, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (current == MAP_FAILED)
        return 2;
    struct stat about;
    if (first < arguments && stat(argument[first], &about) == 0 && S_ISREG(about.st_mode)) {
        for (; first < arguments; first++) {
            load(argument[first]);
            run();
        }
        return 0;
    }
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        alarm((unsigned)seconds + 60); /* an input that never ends */
        for (int each = first; each < arguments; each++)
            load_folder(argument[each]);
        fuzz(seconds);
        exit(0); /* not _exit: leaks are looked for at the end */
    }
    int status = 1;
    waitpid(child, &status, 0);
    fprintf(stderr, "%zu runs, %zu inputs, %zu edges, seed %lu\n", current->runs, current->inputs, current->edges, seed);
    if (status == 0)
        return 0;
    char path[4096];
    snprintf(path, sizeof path, "%scrash-%zu-%lu", prefix, current->runs, seed);
    FILE *file = fopen(path, "wb");
    if (file) {
        fwrite(current->data, 1, current->size, file);
        fclose(file);
    }
    fprintf(stderr, "died (status %d); the input is in %s\n", status, path);
    return 1;
}
