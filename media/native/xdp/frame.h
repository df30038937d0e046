/* Datagrams in Ethernet frames: what the XDP program handed over, and what goes into a ring. */

#ifndef FRAME_H
#define FRAME_H

#include "../tier.h"

#define MOST_HEADERS (18 + 40 + 8) /* Ethernet with a VLAN tag, IPv6, UDP */

/* The UDP datagram of a frame in which the program wrote `handed`; false: its checksum is wrong, or it is too long. The program has
 * looked at everything else. */
bool frame_read(const uint8_t *frame, size_t size, struct handed *handed, struct datagram *datagram);

/* The datagram as `flow` sends it over `hop`; octets. `frame` has room for MOST_HEADERS and the datagram. */
size_t frame_write(uint8_t *frame, const struct flow *flow, const struct hop *hop, const struct datagram *datagram);

#endif
