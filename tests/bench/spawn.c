/* Starts a program and waits for it, over and over, on several threads at once: what posix_spawn alone reaches.
 *
 *   bench_spawn SECONDS THREADS PROGRAM
 *
 * Prints {"spawned": N, "seconds": S, "cpu_us": C}, the processor time with that of the programs. */
#include <fcntl.h>
#include <pthread.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { THREADS_MAX = 64 };

struct spawner {
    pthread_t thread;
    const char *program;
    double until_s;
    long spawned;
};

static double now_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double cpu_us(int who)
{
    struct rusage used;

    getrusage(who, &used);
    return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1e6 +
           (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec);
}

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

/* A session of its own, stdin from /dev/null, no environment, as users' commands have it. */
static void *spawn_all(void *arg)
{
    struct spawner *spawner = arg;
    char *argv[] = {(char *)spawner->program, NULL}, *environment[] = {(char *)"PATH=/usr/bin:/bin", NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int status;
    pid_t pid;

    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID);
    while (now_s() < spawner->until_s) {
        if (posix_spawn(&pid, spawner->program, &actions, &attributes, argv, environment) != 0)
            fail(spawner->program);
        if (waitpid(pid, &status, 0) != pid || status != 0)
            fail("waitpid");
        spawner->spawned++;
    }
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return NULL;
}

int main(int argc, char **argv)
{
    struct spawner spawners[THREADS_MAX] = {0};
    int threads = argc == 4 ? atoi(argv[2]) : 0;
    long spawned = 0;

    if (threads < 1 || threads > THREADS_MAX || atoi(argv[1]) < 1) {
        fputs("usage: bench_spawn SECONDS THREADS PROGRAM\n", stderr);
        return 2;
    }
    double begin_s = now_s();
    for (int i = 0; i < threads; i++) {
        spawners[i].program = argv[3];
        spawners[i].until_s = begin_s + atoi(argv[1]);
        if (pthread_create(&spawners[i].thread, NULL, spawn_all, &spawners[i]) != 0)
            fail("pthread_create");
    }
    for (int i = 0; i < threads; i++) {
        pthread_join(spawners[i].thread, NULL);
        spawned += spawners[i].spawned;
    }
    printf("{\"spawned\": %ld, \"seconds\": %f, \"cpu_us\": %f}\n", spawned, now_s() - begin_s,
           cpu_us(RUSAGE_SELF) + cpu_us(RUSAGE_CHILDREN));
    return 0;
}
