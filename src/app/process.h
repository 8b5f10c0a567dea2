/* What the server process denies itself and others before it holds a secret. */
#ifndef APP_PROCESS_H
#define APP_PROCESS_H

#include "bailiff/fault.h"

/* Files we make are ours alone; no core dump or debugger of the same user shows our memory; a broken pipe is an error code. */
must_check bool process_harden(struct fault *fault);
/* Blocks the signals that main waits for, in this thread and all that it starts. */
must_check bool process_block_signals(struct fault *fault);
/* The next of them (SIGHUP, SIGTERM, SIGINT), or 0 after timeout_ms. */
int process_wait_signal(unsigned timeout_ms);
/* From now on SIGTERM and SIGINT end the process at once: for somebody who does not want to wait for the drain. */
void process_unblock_ending(void);

#endif
