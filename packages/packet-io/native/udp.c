/* Unconnected UDP sockets, a vector at a time. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "packet_io.h"

/* Datagrams for one system call. More gain nothing measurable, and sendmmsg takes no more than 1024. */
#define BATCH 64
/* Errors in a row after which a socket is left to the next turn. */
#define MAX_ERRORS 64

union pio_sockaddr {
  struct sockaddr any;
  struct sockaddr_in v4;
  struct sockaddr_in6 v6;
};

/* Message headers for the rows of a vector, prepared once: a call resets only those that the last one used. */
struct pio_receive_slots {
  uint8_t *bytes; /* the slab that the headers point into */
  struct mmsghdr *headers;
  struct iovec *spans;
  union pio_sockaddr *sources;
};

void pio_receive_slots_free(struct pio_receive_slots *slots) {
  if (slots == NULL) return;
  free(slots->headers);
  free(slots->spans);
  free(slots->sources);
  free(slots);
}

static struct pio_receive_slots *receive_slots(struct pio_vector *vector) {
  struct pio_receive_slots *slots = vector->receive;
  if (slots != NULL && slots->bytes == vector->bytes) return slots;
  if (slots == NULL) {
    slots = calloc(1, sizeof *slots);
    if (slots == NULL) return NULL;
    slots->headers = calloc(vector->capacity, sizeof *slots->headers);
    slots->spans = calloc(vector->capacity, sizeof *slots->spans);
    slots->sources = calloc(vector->capacity, sizeof *slots->sources);
    if (slots->headers == NULL || slots->spans == NULL || slots->sources == NULL) {
      pio_receive_slots_free(slots);
      return NULL;
    }
    vector->receive = slots;
  }
  slots->bytes = vector->bytes;
  for (uint32_t row = 0; row < vector->capacity; row++) {
    slots->spans[row].iov_base = vector->bytes + (size_t)row * vector->stride + vector->headroom;
    slots->spans[row].iov_len = vector->packet_bytes;
    struct msghdr *header = &slots->headers[row].msg_hdr;
    header->msg_iov = &slots->spans[row];
    header->msg_iovlen = 1;
    header->msg_name = &slots->sources[row];
    header->msg_namelen = sizeof slots->sources[row];
  }
  return slots;
}

/* Writes a socket address as the words of a LinkAddress. IPv4 behind a dual-stack socket is IPv4. */
static bool address_words(const union pio_sockaddr *address, uint32_t link, uint32_t *words) {
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
static socklen_t socket_address(const struct pio_port *port, const uint32_t *words, union pio_sockaddr *address) {
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

/* udpOpen(family (4, 6), v6only, link): port, or -errno */
static napi_value udp_open(napi_env napi, napi_callback_info info) {
  struct pio_env *env;
  napi_value arguments[3];
  uint32_t family, link;
  bool v6only;
  if (!pio_arguments(napi, info, 3, arguments, &env) || !pio_uint32(napi, arguments[0], &family) ||
      !pio_bool(napi, arguments[1], &v6only) || !pio_uint32(napi, arguments[2], &link)) {
    return NULL;
  }
  if (family != 4 && family != 6) return pio_bug(napi, "a family is 4 or 6");
  int domain = family == 4 ? AF_INET : AF_INET6;
  int fd = socket(domain, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_UDP);
  if (fd < 0) return pio_int(napi, -errno);
  int only = v6only;
  if (family == 6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof only) < 0) {
    int error = errno;
    close(fd);
    return pio_int(napi, -error);
  }
  struct pio_port *port = pio_port_open(env, PORT_UDP, fd);
  if (port == NULL) return pio_int(napi, -errno);
  port->family = domain;
  port->v6only = v6only;
  port->link = link;
  return pio_int(napi, (int32_t)port->index);
}

/* udpBuffer(port, send?, bytes, force): the size in effect in bytes, as the kernel counts it, or -errno */
static napi_value udp_buffer(napi_env napi, napi_callback_info info) {
  struct pio_env *env;
  napi_value arguments[4];
  bool send, force;
  uint32_t bytes;
  if (!pio_arguments(napi, info, 4, arguments, &env)) return NULL;
  struct pio_port *port = pio_port_take(env, arguments[0], PORT_UDP);
  if (port == NULL || !pio_bool(napi, arguments[1], &send) || !pio_uint32(napi, arguments[2], &bytes) ||
      !pio_bool(napi, arguments[3], &force)) {
    return NULL;
  }
  int size = bytes > INT32_MAX ? INT32_MAX : (int)bytes;
  /* Above net.core.{r,w}mem_max only a privileged process may go; the others get what there is. */
  int result = -1;
  if (force) result = setsockopt(port->fd, SOL_SOCKET, send ? SO_SNDBUFFORCE : SO_RCVBUFFORCE, &size, sizeof size);
  if (result < 0) result = setsockopt(port->fd, SOL_SOCKET, send ? SO_SNDBUF : SO_RCVBUF, &size, sizeof size);
  socklen_t length = sizeof size;
  if (result < 0 || getsockopt(port->fd, SOL_SOCKET, send ? SO_SNDBUF : SO_RCVBUF, &size, &length) < 0) {
    return pio_int(napi, -errno);
  }
  return pio_int(napi, size);
}

/* udpMark(port, mark): 0 or -errno */
static napi_value udp_mark(napi_env napi, napi_callback_info info) {
  struct pio_env *env;
  napi_value arguments[2];
  uint32_t mark;
  if (!pio_arguments(napi, info, 2, arguments, &env)) return NULL;
  struct pio_port *port = pio_port_take(env, arguments[0], PORT_UDP);
  if (port == NULL || !pio_uint32(napi, arguments[1], &mark)) return NULL;
  return pio_int(napi, setsockopt(port->fd, SOL_SOCKET, SO_MARK, &mark, sizeof mark) < 0 ? -errno : 0);
}

/* udpDevice(port, name): 0 or -errno */
static napi_value udp_device(napi_env napi, napi_callback_info info) {
  struct pio_env *env;
  napi_value arguments[2];
  char name[IFNAMSIZ];
  if (!pio_arguments(napi, info, 2, arguments, &env)) return NULL;
  struct pio_port *port = pio_port_take(env, arguments[0], PORT_UDP);
  if (port == NULL || !pio_string(napi, arguments[1], name, sizeof name)) return NULL;
  int result = setsockopt(port->fd, SOL_SOCKET, SO_BINDTODEVICE, name, (socklen_t)strlen(name) + 1);
  return pio_int(napi, result < 0 ? -errno : 0);
}

/* udpBind(port, address, portNumber, scope): 0 or -errno. The address is a number of the socket's family. */
static napi_value udp_bind(napi_env napi, napi_callback_info info) {
  struct pio_env *env;
  napi_value arguments[4];
  char text[INET6_ADDRSTRLEN];
  uint32_t number, scope;
  if (!pio_arguments(napi, info, 4, arguments, &env)) return NULL;
  struct pio_port *port = pio_port_take(env, arguments[0], PORT_UDP);
  if (port == NULL || !pio_string(napi, arguments[1], text, sizeof text) ||
      !pio_uint32(napi, arguments[2], &number) || !pio_uint32(napi, arguments[3], &scope)) {
    return NULL;
  }
  if (number > 0xffff) return pio_bug(napi, "a port is at most 65535");
  union pio_sockaddr address;
  memset(&address, 0, sizeof address);
  address.any.sa_family = (sa_family_t)port->family;
  socklen_t length;
  int parsed;
  if (port->family == AF_INET) {
    parsed = inet_pton(AF_INET, text, &address.v4.sin_addr);
    address.v4.sin_port = htons((uint16_t)number);
    length = sizeof address.v4;
  } else {
    parsed = inet_pton(AF_INET6, text, &address.v6.sin6_addr);
    address.v6.sin6_port = htons((uint16_t)number);
    address.v6.sin6_scope_id = scope;
    length = sizeof address.v6;
  }
  if (parsed != 1) return pio_int(napi, -EINVAL);
  return pio_int(napi, bind(port->fd, &address.any, length) < 0 ? -errno : 0);
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
  return pio_int(napi, address_words(&address, port->link, words) ? 0 : -EAFNOSUPPORT);
}

/* udpReceive(port, vector, count): rows added */
static napi_value udp_receive(napi_env napi, napi_callback_info info) {
  struct pio_env *env;
  napi_value arguments[3];
  uint32_t count;
  if (!pio_arguments(napi, info, 3, arguments, &env)) return NULL;
  struct pio_port *port = pio_port_take(env, arguments[0], PORT_UDP);
  if (port == NULL) return NULL;
  struct pio_vector *vector = pio_vector_take(env, arguments[1], arguments[2], &count);
  if (vector == NULL) return NULL;
  struct pio_receive_slots *slots = receive_slots(vector);
  if (slots == NULL) return pio_bug(napi, "out of memory");
  uint32_t row = count;
  unsigned errors = 0;
  while (row < vector->capacity) {
    const uint32_t first = row;
    const uint32_t wanted = vector->capacity - first < BATCH ? vector->capacity - first : BATCH;
    int received = recvmmsg(port->fd, slots->headers + first, wanted, MSG_DONTWAIT, NULL);
    if (received < 0) {
      if (errno == EAGAIN) break;
      /* Something on the way answered with an error; what waits behind it is still to be had. */
      if (errno != EINTR) port->counters[COUNTER_RECEIVE_ERRORS]++;
      if (++errors > MAX_ERRORS) break;
      continue;
    }
    for (uint32_t slot = first; slot < first + (uint32_t)received; slot++) {
      struct mmsghdr *message = &slots->headers[slot];
      const uint32_t length = message->msg_len;
      const bool good = length > 0 && length <= vector->packet_bytes && (message->msg_hdr.msg_flags & MSG_TRUNC) == 0 &&
                        address_words(&slots->sources[slot], port->link, vector->addresses + (size_t)row * ADDRESS_WORDS);
      message->msg_hdr.msg_namelen = sizeof slots->sources[slot];
      message->msg_hdr.msg_flags = 0;
      if (!good) {
        port->counters[COUNTER_RECEIVE_DROPPED]++;
        continue;
      }
      /* Rows have no gaps: behind a dropped datagram the others move up. */
      if (row != slot) memcpy(slots->spans[row].iov_base, slots->spans[slot].iov_base, length);
      pio_row_init(vector, row, length, FATE_RAW);
      row++;
    }
    if ((uint32_t)received < wanted) break;
  }
  return pio_int(napi, (int32_t)(row - count));
}

/* udpSend(port, vector, count): whether all was taken */
static napi_value udp_send(napi_env napi, napi_callback_info info) {
  struct pio_env *env;
  napi_value arguments[3], result;
  uint32_t rows;
  if (!pio_arguments(napi, info, 3, arguments, &env)) return NULL;
  struct pio_port *port = pio_port_take(env, arguments[0], PORT_UDP);
  if (port == NULL) return NULL;
  struct pio_vector *vector = pio_vector_take(env, arguments[1], arguments[2], &rows);
  if (vector == NULL) return NULL;
  uint32_t *fates = pio_column(vector, COLUMN_FATE);
  const uint32_t *offsets = pio_column(vector, COLUMN_OFFSET);
  const uint32_t *lengths = pio_column(vector, COLUMN_LENGTH);
  struct mmsghdr headers[BATCH];
  struct iovec spans[BATCH];
  union pio_sockaddr targets[BATCH];
  uint32_t sources[BATCH];
  bool full = false;
  for (uint32_t row = 0; row < rows && !full;) {
    uint32_t gathered = 0;
    for (; row < rows && gathered < BATCH; row++) {
      const uint32_t *words = vector->addresses + (size_t)row * ADDRESS_WORDS;
      if (fates[row] != FATE_TO_LINK || words[ADDRESS_LINK] != port->link) continue;
      const uint32_t offset = offsets[row], length = lengths[row];
      socklen_t size = socket_address(port, words, &targets[gathered]);
      if (size == 0 || !pio_in_slab(vector, offset, length, 0)) {
        fates[row] = FATE_DROPPED;
        port->counters[COUNTER_SEND_ERRORS]++;
        continue;
      }
      spans[gathered].iov_base = vector->bytes + offset;
      spans[gathered].iov_len = length;
      memset(&headers[gathered], 0, sizeof headers[gathered]);
      headers[gathered].msg_hdr.msg_name = &targets[gathered];
      headers[gathered].msg_hdr.msg_namelen = size;
      headers[gathered].msg_hdr.msg_iov = &spans[gathered];
      headers[gathered].msg_hdr.msg_iovlen = 1;
      sources[gathered++] = row;
    }
    uint32_t done = 0;
    while (done < gathered) {
      int sent = sendmmsg(port->fd, headers + done, gathered - done, MSG_DONTWAIT);
      if (sent < 0 && errno == EINTR) continue;
      if (sent < 0 && errno == EAGAIN) {
        full = true;
        break;
      }
      if (sent <= 0) {
        /* This one is lost for good: no route, larger than the network takes, refused by a filter … */
        port->counters[COUNTER_SEND_ERRORS]++;
        sent = 1;
      }
      for (int i = 0; i < sent; i++) fates[sources[done + (uint32_t)i]] = FATE_DROPPED;
      done += (uint32_t)sent;
    }
  }
  if (full) {
    port->counters[COUNTER_FULL]++;
    port->writing = true;
    pio_port_update(port);
  }
  return napi_get_boolean(napi, !full, &result) == napi_ok ? result : NULL;
}

/* udpSendOne(port, packet, address) */
static napi_value udp_send_one(napi_env napi, napi_callback_info info) {
  struct pio_env *env;
  napi_value arguments[3];
  napi_typedarray_type type;
  uint8_t *packet;
  uint32_t *words;
  size_t length, word_count;
  if (!pio_arguments(napi, info, 3, arguments, &env)) return NULL;
  struct pio_port *port = pio_port_take(env, arguments[0], PORT_UDP);
  if (port == NULL || !pio_bytes(napi, arguments[1], &packet, &length)) return NULL;
  if (napi_get_typedarray_info(napi, arguments[2], &type, &word_count, (void **)&words, NULL, NULL) != napi_ok ||
      type != napi_uint32_array || word_count < ADDRESS_WORDS) {
    return pio_bug(napi, "not a link address");
  }
  union pio_sockaddr target;
  socklen_t size = socket_address(port, words, &target);
  ssize_t sent = -1;
  if (size != 0) {
    do {
      sent = sendto(port->fd, packet, length, MSG_DONTWAIT, &target.any, size);
    } while (sent < 0 && errno == EINTR);
  }
  if (sent < 0) port->counters[size != 0 && errno == EAGAIN ? COUNTER_SEND_FULL : COUNTER_SEND_ERRORS]++;
  return NULL;
}

const pio_function pio_udp_functions[] = {{"udpOpen", udp_open},
                                          {"udpBuffer", udp_buffer},
                                          {"udpMark", udp_mark},
                                          {"udpDevice", udp_device},
                                          {"udpBind", udp_bind},
                                          {"udpLocalAddress", udp_local_address},
                                          {"udpReceive", udp_receive},
                                          {"udpSend", udp_send},
                                          {"udpSendOne", udp_send_one},
                                          {NULL, NULL}};
