/* Receiving: a row a datagram, also where the kernel hands over many as one message (UDP_GRO). */
#include "udp.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Datagrams for one system call. More gain nothing measurable. */
#define BATCH 64
/* Errors in a row after which a socket is left to the next turn. */
#define MAX_ERRORS 64
/* Gathered datagrams: places in the arena for as many messages, a little apart so that they do not share cache sets. */
#define PLACES 8
#define MAX_MESSAGE 65535
#define PLACE_BYTES (65536 + 1088)
/* Datagrams that one message may hold. */
#define MAX_GATHERED 64

/* Message headers for the rows of a vector, prepared once: a call resets only those that the last one used. */
struct pio_receive_slots {
  uint8_t *bytes; /* the slab that the headers point into */
  struct mmsghdr *headers;
  struct iovec *spans;
  union pio_sockaddr *sources;
};

/* A message that found too few rows, or that was looked at for a flow: what is left of it, for the next call. */
struct pio_waiting {
  uint32_t start;
  uint32_t length;
  uint32_t segment;
  uint32_t words[ADDRESS_WORDS];
  uint8_t bytes[MAX_MESSAGE + 1];
};

void pio_receive_slots_free(struct pio_receive_slots *slots) {
  if (slots == NULL) return;
  free(slots->headers);
  free(slots->spans);
  free(slots->sources);
  free(slots);
}

bool pio_udp_waits(const struct pio_port *port) {
  return port->waiting != NULL && port->waiting->start < port->waiting->length;
}

void pio_udp_forget_waiting(struct pio_port *port) { port->waiting->length = 0; }

void pio_udp_free_waiting(struct pio_port *port) {
  free(port->waiting);
  port->waiting = NULL;
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

/* Receives into the rows' own places. Returns the rows in use then. */
static uint32_t receive_plain(struct pio_port *port, struct pio_vector *vector, struct pio_receive_slots *slots, uint32_t row) {
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
      const bool good =
          length > 0 && length <= vector->packet_bytes && (message->msg_hdr.msg_flags & MSG_TRUNC) == 0 &&
          pio_address_words(&slots->sources[slot], port->link, vector->addresses + (size_t)row * ADDRESS_WORDS);
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
  return row;
}

static uint32_t add_copy(struct pio_port *port, struct pio_vector *vector, uint32_t row, const uint8_t *bytes, uint32_t length,
                         const uint32_t *words) {
  if (length == 0 || length > vector->packet_bytes) {
    port->counters[COUNTER_RECEIVE_DROPPED]++;
    return row;
  }
  pio_row_init(vector, row, length, FATE_RAW);
  memcpy(vector->bytes + pio_column(vector, COLUMN_OFFSET)[row], bytes, length);
  memcpy(vector->addresses + (size_t)row * ADDRESS_WORDS, words, ADDRESS_WORDS * sizeof *words);
  return row + 1;
}

/* Adds rows for what waited since the last call. Returns the rows in use then. */
static uint32_t take_waiting(struct pio_port *port, struct pio_vector *vector, uint32_t row) {
  struct pio_waiting *waiting = port->waiting;
  while (pio_udp_waits(port) && row < vector->capacity) {
    const uint32_t left = waiting->length - waiting->start;
    const uint32_t length = left < waiting->segment ? left : waiting->segment;
    row = add_copy(port, vector, row, waiting->bytes + waiting->start, length, waiting->words);
    waiting->start += length;
  }
  return row;
}

/* Keeps what found no row. */
static void wait(struct pio_port *port, const uint8_t *bytes, uint32_t length, uint32_t segment, const uint32_t *words) {
  if (port->waiting == NULL) port->waiting = calloc(1, sizeof *port->waiting);
  if (port->waiting == NULL || pio_udp_waits(port)) {
    port->counters[COUNTER_RECEIVE_DROPPED] += (length + segment - 1) / segment;
    return;
  }
  port->waiting->start = 0;
  port->waiting->length = length;
  port->waiting->segment = segment;
  memcpy(port->waiting->words, words, sizeof port->waiting->words);
  memcpy(port->waiting->bytes, bytes, length);
}

union control {
  char bytes[PIO_CONTROL_BYTES];
  struct cmsghdr align;
};

/* The size of the datagrams in a message; 0: it is one. */
static uint32_t gathered_segment(struct msghdr *header) {
  for (struct cmsghdr *part = CMSG_FIRSTHDR(header); part != NULL; part = CMSG_NXTHDR(header, part)) {
    if (part->cmsg_level != IPPROTO_UDP || part->cmsg_type != UDP_GRO) continue;
    int segment = 0;
    memcpy(&segment, CMSG_DATA(part), sizeof segment);
    return segment > 0 && segment <= MAX_MESSAGE ? (uint32_t)segment : 0;
  }
  return 0;
}

/*
 * Receives messages that may hold many datagrams: into the arena, where their rows then lie, or, for vectors without one, into
 * a place of the socket's, out of which they are copied. Returns the rows in use then.
 */
static uint32_t receive_gathered(struct pio_port *port, struct pio_vector *vector, uint32_t row) {
  struct mmsghdr headers[PLACES];
  struct iovec spans[PLACES];
  union control controls[PLACES];
  union pio_sockaddr sources[PLACES];
  uint8_t *free_places[PLACES];
  uint8_t bounce[MAX_MESSAGE + 1];
  uint32_t places = 0;
  const size_t top = pio_arena_top(vector, row);
  while (places < PLACES && top + (size_t)(places + 1) * PLACE_BYTES <= vector->bytes_length) {
    free_places[places] = vector->bytes + top + (size_t)places * PLACE_BYTES + vector->headroom % 64;
    places++;
  }
  const bool copies = places == 0;
  if (copies) free_places[places++] = bounce;
  unsigned errors = 0;
  while (row < vector->capacity && places > 0 && !pio_udp_waits(port)) {
    /* Only the last message may find too few rows. */
    uint32_t wanted = 1 + (vector->capacity - row) / MAX_GATHERED;
    if (wanted > places) wanted = places;
    for (uint32_t i = 0; i < wanted; i++) {
      memset(&headers[i], 0, sizeof headers[i]);
      spans[i] = (struct iovec){free_places[places - 1 - i], MAX_MESSAGE};
      headers[i].msg_hdr = (struct msghdr){.msg_name = &sources[i],
                                           .msg_namelen = sizeof sources[i],
                                           .msg_iov = &spans[i],
                                           .msg_iovlen = 1,
                                           .msg_control = &controls[i],
                                           .msg_controllen = sizeof controls[i].bytes};
    }
    int received = recvmmsg(port->fd, headers, wanted, MSG_DONTWAIT, NULL);
    if (received < 0) {
      if (errno == EAGAIN) break;
      if (errno != EINTR) port->counters[COUNTER_RECEIVE_ERRORS]++;
      if (++errors > MAX_ERRORS) break;
      continue;
    }
    uint8_t *unused[PLACES];
    uint32_t unused_count = 0;
    for (uint32_t i = 0; i < (uint32_t)received; i++) {
      uint8_t *bytes = spans[i].iov_base;
      const uint32_t length = headers[i].msg_len;
      const uint32_t segment = gathered_segment(&headers[i].msg_hdr);
      uint32_t words[ADDRESS_WORDS];
      if (length == 0 || length > MAX_MESSAGE || (headers[i].msg_hdr.msg_flags & MSG_TRUNC) != 0 ||
          !pio_address_words(&sources[i], port->link + pio_local_arrival(port, &headers[i].msg_hdr), words)) {
        port->counters[COUNTER_RECEIVE_DROPPED]++;
        unused[unused_count++] = bytes;
        continue;
      }
      /* One alone is copied: its place in the arena can be used again. */
      if (copies || segment == 0 || segment >= length) {
        uint32_t at = 0;
        const uint32_t step = segment == 0 ? length : segment;
        for (; at < length && row < vector->capacity; at += step) {
          row = add_copy(port, vector, row, bytes + at, length - at < step ? length - at : step, words);
        }
        if (at < length) wait(port, bytes + at, length - at, step, words);
        unused[unused_count++] = bytes;
        continue;
      }
      uint32_t at = 0;
      for (; at < length && row < vector->capacity; at += segment) {
        const uint32_t bytes_here = length - at < segment ? length - at : segment;
        if (bytes_here > vector->packet_bytes) {
          port->counters[COUNTER_RECEIVE_DROPPED]++;
          continue;
        }
        pio_row_init(vector, row, bytes_here, FATE_RAW);
        pio_column(vector, COLUMN_OFFSET)[row] = (uint32_t)(bytes + at - vector->bytes);
        memcpy(vector->addresses + (size_t)row * ADDRESS_WORDS, words, sizeof words);
        row++;
      }
      if (at < length) wait(port, bytes + at, length - at, segment, words);
    }
    places -= (uint32_t)received;
    for (uint32_t i = 0; i < unused_count; i++) free_places[places++] = unused[i];
    if ((uint32_t)received < wanted) break;
  }
  return row;
}

enum pio_lone pio_udp_receive_lone(struct pio_port *port, const uint8_t **bytes, uint32_t *length, uint32_t *words) {
  if (port->waiting == NULL && (port->waiting = calloc(1, sizeof *port->waiting)) == NULL) return LONE_OTHER;
  struct pio_waiting *waiting = port->waiting;
  union pio_sockaddr source;
  union control control;
  struct iovec span = {waiting->bytes, MAX_MESSAGE};
  struct msghdr header = {.msg_name = &source,
                          .msg_namelen = sizeof source,
                          .msg_iov = &span,
                          .msg_iovlen = 1,
                          .msg_control = &control,
                          .msg_controllen = sizeof control.bytes};
  waiting->start = waiting->length = 0;
  const ssize_t received = recvmsg(port->fd, &header, MSG_DONTWAIT);
  if (received < 0) {
    if (errno != EAGAIN && errno != EINTR) port->counters[COUNTER_RECEIVE_ERRORS]++;
    return LONE_NOTHING;
  }
  if (received == 0 || (header.msg_flags & MSG_TRUNC) != 0 ||
      !pio_address_words(&source, port->link + pio_local_arrival(port, &header), waiting->words)) {
    port->counters[COUNTER_RECEIVE_DROPPED]++;
    return LONE_NOTHING;
  }
  const uint32_t segment = gathered_segment(&header);
  waiting->length = (uint32_t)received;
  waiting->segment = segment == 0 ? waiting->length : segment;
  *bytes = waiting->bytes;
  *length = waiting->length;
  memcpy(words, waiting->words, sizeof waiting->words);
  return waiting->segment >= waiting->length ? LONE_PACKET : LONE_OTHER;
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
  uint32_t row = count;
  const bool waited = pio_udp_waits(port);
  row = take_waiting(port, vector, row);
  /* What comes beside the bytes has a place there alone. */
  if (port->gathers || port->locals != NULL) {
    row = receive_gathered(port, vector, row);
  } else {
    struct pio_receive_slots *slots = receive_slots(vector);
    if (slots == NULL) return pio_bug(napi, "out of memory");
    if (!pio_udp_waits(port)) row = receive_plain(port, vector, slots, row);
  }
  if (waited != pio_udp_waits(port)) pio_port_update(port);
  return pio_int(napi, (int32_t)(row - count));
}

const pio_function pio_udp_receive_functions[] = {{"udpReceive", udp_receive}, {NULL, NULL}};
