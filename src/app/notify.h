/* Tells the service manager how we are (sd_notify(3)'s protocol: a datagram to $NOTIFY_SOCKET). Without one it does nothing. */
#ifndef APP_NOTIFY_H
#define APP_NOTIFY_H

#include "bailiff/common.h"

void notify_ready(const char *status);
void notify_reloading(void); /* followed by notify_ready */
void notify_stopping(void);
void notify_extend(unsigned seconds); /* it takes so much longer, at most */

#endif
