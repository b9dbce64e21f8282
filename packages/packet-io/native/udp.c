/* Unconnected UDP sockets: addresses, and what the kernel does for them. */
#include "udp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Writes a socket address as the words of a LinkAddress. IPv4 behind a dual-stack socket is IPv4. */
bool pio_address_words(const union pio_sockaddr *address, uint32_t link, uint32_t *words) {
  memset(words, 0, ADDRESS_WORDS * sizeof *words);
  words[ADDRESS_LINK] = link;
  if (address->any.sa_family == AF_INET) {
    words[ADDRESS_FAMILY] = 4;
    words[ADDRESS_PORT] = ntohs(address->v4.sin_port);
    words[ADDRESS_HOST] = ntohl(address->v4.sin_addr.s_addr);
    return true;
  }
  if (address->any.sa_family != AF_INET6) return false;
  uint32_t host[4];
  memcpy(host, &address->v6.sin6_addr, sizeof host);
  words[ADDRESS_PORT] = ntohs(address->v6.sin6_port);
  if (IN6_IS_ADDR_V4MAPPED(&address->v6.sin6_addr)) {
    words[ADDRESS_FAMILY] = 4;
    words[ADDRESS_HOST] = ntohl(host[3]);
    return true;
  }
  words[ADDRESS_FAMILY] = 6;
  for (int i = 0; i < 4; i++) words[ADDRESS_HOST + i] = ntohl(host[i]);
  words[ADDRESS_SCOPE] = address->v6.sin6_scope_id;
  return true;
}

/* The socket address that `words` mean on this socket; 0 when it cannot send there. */
socklen_t pio_socket_address(const struct pio_port *port, const uint32_t *words, union pio_sockaddr *address) {
  memset(address, 0, sizeof *address);
  if (words[ADDRESS_PORT] == 0 || words[ADDRESS_PORT] > 0xffff) return 0;
  const uint16_t number = htons((uint16_t)words[ADDRESS_PORT]);
  if (port->family == AF_INET) {
    if (words[ADDRESS_FAMILY] != 4) return 0;
    address->v4.sin_family = AF_INET;
    address->v4.sin_port = number;
    address->v4.sin_addr.s_addr = htonl(words[ADDRESS_HOST]);
    return sizeof address->v4;
  }
  uint32_t host[4];
  if (words[ADDRESS_FAMILY] == 4) {
    if (port->v6only) return 0;
    host[0] = host[1] = 0;
    host[2] = htonl(0xffff);
    host[3] = htonl(words[ADDRESS_HOST]);
  } else if (words[ADDRESS_FAMILY] == 6) {
    for (int i = 0; i < 4; i++) host[i] = htonl(words[ADDRESS_HOST + i]);
    address->v6.sin6_scope_id = words[ADDRESS_SCOPE];
  } else {
    return 0;
  }
  address->v6.sin6_family = AF_INET6;
  address->v6.sin6_port = number;
  memcpy(&address->v6.sin6_addr, host, sizeof host);
  return sizeof address->v6;
}

/* udpLocalAddress(port, Uint32Array(ADDRESS_WORDS)): 0 or -errno */
static napi_value udp_local_address(napi_env napi, napi_callback_info info) {
  struct pio_env *env;
  napi_value arguments[2];
  napi_typedarray_type type;
  uint32_t *words;
  size_t length;
  if (!pio_arguments(napi, info, 2, arguments, &env)) return NULL;
  struct pio_port *port = pio_port_take(env, arguments[0], PORT_UDP);
  if (port == NULL) return NULL;
  if (napi_get_typedarray_info(napi, arguments[1], &type, &length, (void **)&words, NULL, NULL) != napi_ok ||
      type != napi_uint32_array || length < ADDRESS_WORDS) {
    return pio_bug(napi, "not a link address");
  }
  union pio_sockaddr address;
  socklen_t size = sizeof address;
  if (getsockname(port->fd, &address.any, &size) < 0) return pio_int(napi, -errno);
  return pio_int(napi, pio_address_words(&address, port->link, words) ? 0 : -EAFNOSUPPORT);
}

/* udpOffload(port, gso, gro): bit 0: UDP_SEGMENT, bit 1: UDP_GRO; those that are wanted and that the kernel has are in use from now on. */
static napi_value udp_offload(napi_env napi, napi_callback_info info) {
  struct pio_env *env;
  napi_value arguments[3];
  bool gso, gro;
  if (!pio_arguments(napi, info, 3, arguments, &env)) return NULL;
  struct pio_port *port = pio_port_take(env, arguments[0], PORT_UDP);
  if (port == NULL || !pio_bool(napi, arguments[1], &gso) || !pio_bool(napi, arguments[2], &gro)) return NULL;
  int value = 0;
  socklen_t length = sizeof value;
  port->segments = gso && getsockopt(port->fd, IPPROTO_UDP, UDP_SEGMENT, &value, &length) == 0;
  value = 1;
  port->gathers = gro && setsockopt(port->fd, IPPROTO_UDP, UDP_GRO, &value, sizeof value) == 0;
  return pio_int(napi, (port->segments ? 1 : 0) | (port->gathers ? 2 : 0));
}

const pio_function pio_udp_functions[] = {{"udpLocalAddress", udp_local_address},
                                          {"udpOffload", udp_offload},
                                          {NULL, NULL}};
