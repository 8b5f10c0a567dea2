#include "bailiff/thread.h"

#include <signal.h>

int thread_begin(pthread_t *ret_thread, const char *name, void *(*run)(void *arg), void *arg)
{
    sigset_t all, before;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(ret_thread, NULL, run, arg);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error == 0)
        pthread_setname_np(*ret_thread, name); /* it may have ended already; then there is nobody to name */
    return error;
}
