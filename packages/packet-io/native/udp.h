/* What the parts of the UDP link share. */
#ifndef PACKET_IO_UDP_H
#define PACKET_IO_UDP_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <netinet/in.h>
#include <sys/socket.h>

#include "packet_io.h"

/* linux/udp.h, which some systems' headers lack. */
#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

/* What a message may carry beside its bytes: the size of its segments, a local address and a traffic class. */
#define PIO_CONTROL_BYTES (2 * CMSG_SPACE(sizeof(int)) + CMSG_SPACE(sizeof(struct in6_pktinfo)))

union pio_sockaddr {
  struct sockaddr any;
  struct sockaddr_in v4;
  struct sockaddr_in6 v6;
};

bool pio_address_words(const union pio_sockaddr *address, uint32_t link, uint32_t *words);

/* Whether rows with that link are this port's. */
static inline bool pio_is_mine(const struct pio_port *port, uint32_t link) { return link - port->link < port->links; }

/* The number of the local address that a message came to, to be added to the port's link. */
uint32_t pio_local_arrival(struct pio_port *port, struct msghdr *header);
/* Writes the local address that `link` stands for into a control message. Returns the space that it takes; 0: none is needed. */
size_t pio_local_departure(const struct pio_port *port, uint32_t link, struct cmsghdr *part);

/* Receives one message into the port, where it waits; `*bytes` are borrowed until then. LONE_OTHER: it is more than one datagram. */
enum pio_lone pio_udp_receive_lone(struct pio_port *port, const uint8_t **bytes, uint32_t *length, uint32_t *words);
/* Sends one datagram. False: the socket is full; what is refused for good is counted. */
bool pio_udp_send_lone(struct pio_port *port, uint8_t *bytes, uint32_t length, const uint32_t *words);

socklen_t pio_socket_address(const struct pio_port *port, const uint32_t *words, union pio_sockaddr *address);

#endif
