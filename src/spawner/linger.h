/* linger: closing what a hostile peer has sent, without waiting for it.
 *
 * The last who closes a TCP socket with SO_LINGER waits for its peer, as long as its owner wished,
 * and whoever receives a descriptor may be the last.  Signals end such a wait. */
#pragma once

/* From here to linger_end() no close, nor what recvmsg(2) and the end of a Unix socket close, takes
 * longer than a millisecond for each descriptor; other calls may answer EINTR. */
void linger_begin(void);
void linger_end(void);
