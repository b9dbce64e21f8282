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

union pio_sockaddr {
  struct sockaddr any;
  struct sockaddr_in v4;
  struct sockaddr_in6 v6;
};

bool pio_address_words(const union pio_sockaddr *address, uint32_t link, uint32_t *words);
socklen_t pio_socket_address(const struct pio_port *port, const uint32_t *words, union pio_sockaddr *address);

#endif
