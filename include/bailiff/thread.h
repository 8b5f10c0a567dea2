/* Starting a thread of ours: signals belong to main, and who looks at the process (top -H, a debugger) sees a name. */
#ifndef BAILIFF_THREAD_H
#define BAILIFF_THREAD_H

#include <pthread.h>

#include "bailiff/common.h"

/* 0, or an errno. The name: up to 15 bytes. */
must_check int thread_begin(pthread_t *ret_thread, const char *name, void *(*run)(void *arg), void *arg);

#endif
