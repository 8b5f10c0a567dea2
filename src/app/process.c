#include "app/process.h"

#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { SANITIZED = true }; /* a sanitizer looks at its own process as a debugger would */
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
enum { SANITIZED = true };
#else
enum { SANITIZED = false };
#endif
#else
enum { SANITIZED = false };
#endif

bool process_harden(struct fault *fault)
{
    const struct rlimit no_core = {0, 0};

    umask(077);
    if (setrlimit(RLIMIT_CORE, &no_core) < 0 || (!SANITIZED && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0) ||
        signal(SIGPIPE, SIG_IGN) == SIG_ERR)
        return fault_set(fault, FAULT_UNAVAILABLE, "The process cannot be protected: %s.", strerror(errno));
    return true;
}

static void waited_signals(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGHUP);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGINT);
}

bool process_block_signals(struct fault *fault)
{
    sigset_t set;
    int error;

    waited_signals(&set);
    error = pthread_sigmask(SIG_BLOCK, &set, NULL);
    return error == 0 || fault_set(fault, FAULT_UNAVAILABLE, "Signals cannot be blocked: %s.", strerror(error));
}

int process_wait_signal(unsigned timeout_ms)
{
    const struct timespec timeout = {timeout_ms / 1000, (long)(timeout_ms % 1000) * 1000000};
    sigset_t set;
    int signal_number;

    waited_signals(&set);
    signal_number = sigtimedwait(&set, NULL, &timeout);
    return signal_number > 0 ? signal_number : 0;
}

void process_unblock_ending(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}
