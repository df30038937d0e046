/* All workers together: begun, given a tier and a clock, ended. */

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "worker.h"

int engine_start(struct engine *engine, int workers, double sweep_every, double clock) {
    memset(engine, 0, sizeof *engine);
    atomic_store(&engine->clock, clock);
    engine->workers = workers;
    engine->sweep_every = sweep_every;
    engine->process = getpid();
    engine->events = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    engine->stop = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    int error = engine->events < 0 || engine->stop < 0 ? errno : 0;
    while (!error && engine->started < workers) {
        error = worker_start(engine, &engine->worker[engine->started]);
        if (!error)
            engine->started++;
    }
    if (error)
        engine_stop(engine);
    return error;
}

int engine_use(struct engine *engine, const struct tier *tier) {
    for (int each = 0; each < engine->workers; each++) {
        struct worker *worker = &engine->worker[each];
        struct epoll_event event = {.events = EPOLLIN, .data.u64 = RINGS};
        int descriptor = tier->descriptor(tier->self, each);
        worker_enter(worker);
        bool watched = worker->tier || epoll_ctl(worker->epoll, EPOLL_CTL_ADD, descriptor, &event) == 0;
        int error = watched ? 0 : errno;
        if (watched)
            worker->tier = tier;
        worker_leave(worker);
        if (error)
            return error;
    }
    engine_set_clock(engine, atomic_load(&engine->clock));
    return 0;
}

void engine_set_clock(struct engine *engine, double clock) {
    const struct tier *tier = engine->worker[0].tier;
    atomic_store(&engine->clock, clock);
    if (tier)
        *tier->stopped_clock = clock < 0 ? 0 : (uint64_t)(clock * 1e9);
}

void engine_stop(struct engine *engine) {
    eventfd_write(engine->stop, 1); /* nobody reads it: every worker sees it */
    for (int each = 0; each < engine->started; each++) {
        struct worker *worker = &engine->worker[each];
        pthread_join(worker->thread, NULL);
        for (uint32_t index = 0; index < worker->room; index++) {
            struct relay *relay = worker->relays[index];
            if (relay) {
                relay_close(relay);
                relay_free(relay);
            }
        }
        free(worker->relays);
        close(worker->epoll);
        pthread_mutex_destroy(&worker->lock);
        pthread_mutex_destroy(&worker->gate);
    }
    engine->started = 0;
    if (engine->events >= 0)
        close(engine->events);
    if (engine->stop >= 0)
        close(engine->stop);
    engine->events = engine->stop = -1;
}
