/* The tun device of Linux. */
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "coalesce.h"
#include "inner.h"
#include "packet_io.h"
#include "tun.h"

/* Newer than some systems' headers. */
#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

/* What a super-packet may become larger by when it is sealed, for each of its segments. */
#define SEALED_HEADER 28
/* Packets that a super-packet may be. More are read only where the kernel was not told of the limit. */
#define MAX_SEGMENTS 1024
/* Rows that one call adds: with more the first would wait too long for the last. */
#define MAX_ROWS 128
/* What must be free of the arena for one more packet, which may be a super-packet, and for its sealed form. */
#define ROWS_FOR_ONE 64
#define ARENA_FOR_ONE (2 * (size_t)PIO_MAX_PACKET + MAX_SEGMENTS * (SEALED_HEADER + 60))

/* tunOpen(path): port, or -errno */
static napi_value tun_open(napi_env napi, napi_callback_info info) {
  struct pio_env *env;
  napi_value arguments[1];
  char path[4096];
  if (!pio_arguments(napi, info, 1, arguments, &env) || !pio_string(napi, arguments[0], path, sizeof path)) return NULL;
  int fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) return pio_int(napi, -errno);
  struct pio_port *port = pio_port_open(env, PORT_TUN, fd);
  return pio_int(napi, port == NULL ? -errno : (int32_t)port->index);
}

/* tunAttach(port, name, vnet): the interface's name, or -errno. An empty name lets the kernel take the next free tunN. */
static napi_value tun_attach(napi_env napi, napi_callback_info info) {
  struct pio_env *env;
  napi_value arguments[3], result;
  struct ifreq request;
  bool vnet;
  memset(&request, 0, sizeof request);
  if (!pio_arguments(napi, info, 3, arguments, &env)) return NULL;
  struct pio_port *port = pio_port_take(env, arguments[0], PORT_TUN);
  if (port == NULL || !pio_string(napi, arguments[1], request.ifr_name, IFNAMSIZ) || !pio_bool(napi, arguments[2], &vnet)) {
    return NULL;
  }
  request.ifr_flags = (short)(IFF_TUN | IFF_NO_PI | (vnet ? IFF_VNET_HDR : 0));
  if (ioctl(port->fd, TUNSETIFF, &request) < 0) return pio_int(napi, -errno);
  int header_bytes = sizeof(struct virtio_net_hdr);
  if (vnet && ioctl(port->fd, TUNSETVNETHDRSZ, &header_bytes) < 0) return pio_int(napi, -errno);
  port->vnet = vnet;
  if (napi_create_string_utf8(napi, request.ifr_name, strnlen(request.ifr_name, IFNAMSIZ), &result) != napi_ok) return NULL;
  return result;
}

/* tunOffload(port, level): 0 none, 1 checksums and TCP segments, 2 UDP segments too; 0 or -errno. For a port with vnet. */
static napi_value tun_offload(napi_env napi, napi_callback_info info) {
  static const unsigned int features[] = {0, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6,
                                          TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_USO4 | TUN_F_USO6};
  struct pio_env *env;
  napi_value arguments[2];
  uint32_t level;
  if (!pio_arguments(napi, info, 2, arguments, &env)) return NULL;
  struct pio_port *port = pio_port_take(env, arguments[0], PORT_TUN);
  if (port == NULL || !pio_uint32(napi, arguments[1], &level)) return NULL;
  if (level >= sizeof features / sizeof *features) return pio_bug(napi, "no such level of offloads");
  if (!port->vnet) return pio_int(napi, -EINVAL);
  if (ioctl(port->fd, TUNSETOFFLOAD, (unsigned long)features[level]) < 0) return pio_int(napi, -errno);
  port->vnet_udp = level == 2;
  return pio_int(napi, 0);
}

/* tunPersist(port, whether): 0 or -errno */
static napi_value tun_persist(napi_env napi, napi_callback_info info) {
  struct pio_env *env;
  napi_value arguments[2];
  bool persist;
  if (!pio_arguments(napi, info, 2, arguments, &env)) return NULL;
  struct pio_port *port = pio_port_take(env, arguments[0], PORT_TUN);
  if (port == NULL || !pio_bool(napi, arguments[1], &persist)) return NULL;
  return pio_int(napi, ioctl(port->fd, TUNSETPERSIST, (unsigned long)persist) < 0 ? -errno : 0);
}

/* A packet that was looked at for a flow and is left for the next read. */
struct pio_stash {
  size_t length; /* 0: there is none */
  struct virtio_net_hdr header;
  uint8_t bytes[PIO_MAX_PACKET];
};

bool pio_tun_waits(const struct pio_port *port) { return port->stash != NULL && port->stash->length > 0; }

void pio_tun_forget_waiting(struct pio_port *port) { port->stash->length = 0; }

void pio_tun_free_waiting(struct pio_port *port) {
  free(port->stash);
  port->stash = NULL;
}

enum pio_arrival { ARRIVED, NOT_WANTED, NOTHING_THERE, ARRIVAL_FAILED };

/*
 * One read. `*length` is what came, without the header. That has its place in the `headroom` in front of the packet where it fits: one span is cheaper than
 * two.
 */
static enum pio_arrival read_packet(struct pio_port *port, uint8_t *at, size_t headroom, size_t space, struct virtio_net_hdr *header,
                                    size_t *length) {
  if (pio_tun_waits(port)) {
    struct pio_stash *stash = port->stash;
    *header = stash->header;
    /* Cut, as the device cuts. */
    *length = stash->length < space ? stash->length : space;
    memcpy(at, stash->bytes, *length);
    stash->length = 0;
    return ARRIVED;
  }
  const size_t before = port->vnet ? sizeof *header : 0;
  const bool apart = headroom < before;
  struct iovec spans[2] = {{header, sizeof *header}, {at, space}};
  for (;;) {
    ssize_t result = apart ? readv(port->fd, spans, 2) : read(port->fd, at - before, before + space);
    if (result < 0 && errno == EINTR) continue;
    if (result < 0) {
      if (errno == EAGAIN) return NOTHING_THERE;
      port->counters[COUNTER_RECEIVE_ERRORS]++;
      return ARRIVAL_FAILED;
    }
    if (!apart) memcpy(header, at - before, before);
    *length = (size_t)result < before ? 0 : (size_t)result - before;
    if (*length != 0) return ARRIVED;
    port->counters[COUNTER_RECEIVE_DROPPED]++;
    return NOT_WANTED;
  }
}

/* What a packet with this header is: `*segments` 1 for a plain one, its checksum completed. False when it cannot be that. */
static bool take_header(uint8_t *packet, uint32_t length, const struct virtio_net_hdr *header, struct pio_inner *inner,
                        uint32_t *segments) {
  *segments = 1;
  const uint8_t type = header->gso_type & (uint8_t)~VIRTIO_NET_HDR_GSO_ECN;
  if (type != VIRTIO_NET_HDR_GSO_NONE) {
    if (!pio_inner_read(packet, length, inner) || header->gso_size == 0) return false;
    const bool fits = type == VIRTIO_NET_HDR_GSO_TCPV4   ? inner->version == 4 && inner->protocol == PIO_TCP
                      : type == VIRTIO_NET_HDR_GSO_TCPV6 ? inner->version == 6 && inner->protocol == PIO_TCP
                                                         : type == VIRTIO_NET_HDR_GSO_UDP_L4 && inner->protocol == PIO_UDP;
    if (!fits) return false;
    *segments = pio_segments_of(inner, header->gso_size);
    if (*segments > 1) return *segments <= MAX_SEGMENTS;
    *segments = 1;
  }
  if ((header->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) == 0) return true;
  return pio_complete_checksum(packet, length, header->csum_start, header->csum_offset);
}

enum pio_lone pio_tun_read_lone(struct pio_port *port, const uint8_t **bytes, uint32_t *length) {
  if (port->stash == NULL && (port->stash = calloc(1, sizeof *port->stash)) == NULL) return LONE_OTHER;
  struct pio_stash *stash = port->stash;
  size_t arrived = 0;
  switch (read_packet(port, stash->bytes, 0, sizeof stash->bytes, &stash->header, &arrived)) {
    case ARRIVED: break;
    case ARRIVAL_FAILED: return LONE_OTHER; /* the next read says it again */
    default: return LONE_NOTHING;
  }
  stash->length = arrived;
  *bytes = stash->bytes;
  *length = (uint32_t)arrived;
  if (!port->vnet) return LONE_PACKET;
  if (stash->header.gso_type != VIRTIO_NET_HDR_GSO_NONE) return LONE_OTHER;
  if ((stash->header.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) == 0) return LONE_PACKET;
  if (!pio_complete_checksum(stash->bytes, *length, stash->header.csum_start, stash->header.csum_offset)) return LONE_OTHER;
  stash->header.flags = 0;
  return LONE_PACKET;
}

/* Where packets are put while a vector is filled. */
struct pio_filling {
  struct pio_vector *vector;
  uint32_t row;
  size_t place;    /* in the arena */
  size_t reserved; /* bytes of the arena that sealing will need */
  uint32_t packets;
};

/* A super-packet for many becomes plain packets: each goes to several peers, and a row of a peer's copy takes no more. */
static bool spread(struct pio_filling *filling, const struct pio_split *split, const uint8_t *packet) {
  struct pio_vector *vector = filling->vector;
  for (uint32_t index = 0; index < split->segments; index++) {
    if (filling->row == vector->capacity) return false;
    const uint32_t before = index * split->segment_bytes;
    const uint32_t left = split->payload_bytes - before;
    const uint32_t payload = left < split->segment_bytes ? left : split->segment_bytes;
    if (split->inner.payload + payload > vector->packet_bytes) return false;
    pio_row_init(vector, filling->row, split->inner.payload + payload, FATE_INNER);
    uint8_t *at = vector->bytes + pio_column(vector, COLUMN_OFFSET)[filling->row];
    memcpy(at + split->inner.payload, packet + split->inner.payload + before, payload);
    pio_split_write(split, index, at);
    filling->row++;
    filling->packets++;
  }
  return true;
}

/*
 * Reads packets into the arena, one behind the other. Super-packets leave as much of it free as their sealed form takes,
 * and no more packets are read than the vector has rows, should all of them have to be split, or moved behind what was.
 */
static enum pio_arrival read_into_arena(struct pio_port *port, struct pio_filling *filling) {
  struct pio_vector *vector = filling->vector;
  const size_t tail = vector->stride - vector->headroom - vector->packet_bytes;
  const size_t at = ((filling->place + 63) & ~(size_t)63) + vector->headroom;
  if (at + tail + ARENA_FOR_ONE + filling->reserved > vector->bytes_length) return NOTHING_THERE;
  if (filling->row + filling->packets + 1 + ROWS_FOR_ONE > vector->capacity) return NOTHING_THERE;
  uint8_t *packet = vector->bytes + at;
  struct virtio_net_hdr header;
  struct pio_inner inner;
  size_t length;
  uint32_t segments = 1;
  const enum pio_arrival arrival = read_packet(port, packet, vector->headroom, PIO_MAX_PACKET, &header, &length);
  if (arrival != ARRIVED) return arrival;
  if (!take_header(packet, (uint32_t)length, &header, &inner, &segments) ||
      (segments == 1 && length > vector->packet_bytes)) {
    port->counters[COUNTER_RECEIVE_DROPPED]++;
    return NOT_WANTED;
  }
  if (segments > 1 && pio_inner_is_for_many(packet, &inner)) {
    struct pio_split split;
    if (!pio_split_begin(&split, packet, (uint32_t)length, segments, header.gso_size) || !spread(filling, &split, packet)) {
      port->counters[COUNTER_RECEIVE_DROPPED]++;
    }
    return NOT_WANTED;
  }
  if (segments > 1) {
    const size_t sealed = length + (size_t)segments * (SEALED_HEADER + inner.payload);
    if (at + length + tail + filling->reserved + sealed + 128 > vector->bytes_length) {
      port->counters[COUNTER_RECEIVE_DROPPED]++;
      return NOT_WANTED;
    }
    filling->reserved += sealed + 64;
  }
  const uint32_t row = filling->row++;
  pio_row_init(vector, row, (uint32_t)length, FATE_INNER);
  pio_column(vector, COLUMN_OFFSET)[row] = (uint32_t)at;
  pio_column(vector, COLUMN_SEGMENTS)[row] = segments;
  pio_column(vector, COLUMN_SEGMENT_BYTES)[row] = segments > 1 ? header.gso_size : 0;
  filling->place = at + length + tail;
  filling->packets += segments;
  return ARRIVED;
}

/* Reads one packet into the row's own place. */
static enum pio_arrival read_into_row(struct pio_port *port, struct pio_filling *filling) {
  struct pio_vector *vector = filling->vector;
  /* The device cuts a packet that is too large for the buffer: one byte more shows it, where there is tailroom for it. */
  const size_t space = vector->stride - vector->headroom;
  const size_t wanted = space > vector->packet_bytes ? (size_t)vector->packet_bytes + 1 : vector->packet_bytes;
  uint8_t *packet = vector->bytes + (size_t)filling->row * vector->stride + vector->headroom;
  struct virtio_net_hdr header;
  struct pio_inner inner;
  size_t length;
  uint32_t segments = 1;
  const enum pio_arrival arrival = read_packet(port, packet, vector->headroom, wanted, &header, &length);
  if (arrival != ARRIVED) return arrival;
  if (length > vector->packet_bytes ||
      (port->vnet && (!take_header(packet, (uint32_t)length, &header, &inner, &segments) || segments > 1))) {
    port->counters[COUNTER_RECEIVE_DROPPED]++;
    return NOT_WANTED;
  }
  pio_row_init(vector, filling->row++, (uint32_t)length, FATE_INNER);
  return ARRIVED;
}

/* tunHoldOff(microseconds): returns when they are over, or a signal came */
static napi_value tun_hold_off(napi_env napi, napi_callback_info info) {
  struct pio_env *env;
  napi_value arguments[1];
  uint32_t microseconds;
  if (!pio_arguments(napi, info, 1, arguments, &env) || !pio_uint32(napi, arguments[0], &microseconds)) return NULL;
  if (microseconds >= 1000000) return pio_bug(napi, "not less than a second");
  const struct timespec time = {.tv_sec = 0, .tv_nsec = (long)microseconds * 1000};
  nanosleep(&time, NULL);
  return NULL;
}

/* tunRead(port, vector, count): rows added, or -errno when the device is gone */
static napi_value tun_read(napi_env napi, napi_callback_info info) {
  struct pio_env *env;
  napi_value arguments[3];
  uint32_t count;
  if (!pio_arguments(napi, info, 3, arguments, &env)) return NULL;
  struct pio_port *port = pio_port_take(env, arguments[0], PORT_TUN);
  if (port == NULL) return NULL;
  struct pio_vector *vector = pio_vector_take(env, arguments[1], arguments[2], &count);
  if (vector == NULL) return NULL;
  struct pio_filling filling = {.vector = vector, .row = count, .packets = count};
  /* Without one, super-packets are lost: whoever asks for offloads brings vectors with an arena. */
  const bool arena = port->vnet && vector->capacity >= 2 * ROWS_FOR_ONE &&
                     vector->bytes_length - pio_arena_start(vector) >= 2 * ARENA_FOR_ONE;
  if (arena) filling.place = pio_arena_top(vector, count);
  const bool waited = pio_tun_waits(port);
  while (filling.row < vector->capacity && filling.row - count < MAX_ROWS) {
    const enum pio_arrival arrival = arena ? read_into_arena(port, &filling) : read_into_row(port, &filling);
    if (arrival == NOTHING_THERE) break;
    if (arrival == ARRIVAL_FAILED) {
      if (filling.row == count) return pio_int(napi, -errno);
      break;
    }
  }
  if (waited && !pio_tun_waits(port)) pio_port_update(port);
  return pio_int(napi, (int32_t)(filling.row - count));
}

static bool write_span(struct pio_port *port, const struct iovec *spans, int count) {
  ssize_t written;
  do {
    written = writev(port->fd, spans, count);
  } while (written < 0 && errno == EINTR);
  return written >= 0;
}

static void write_row(struct pio_port *port, uint8_t *packet, uint32_t length) {
  struct virtio_net_hdr header;
  memset(&header, 0, sizeof header);
  const struct iovec spans[2] = {{&header, sizeof header}, {packet, length}};
  const bool written = port->vnet ? write_span(port, spans, 2) : write_span(port, spans + 1, 1);
  if (!written) port->counters[COUNTER_SEND_ERRORS]++;
}

void pio_tun_write_one(struct pio_port *port, uint8_t *packet, uint32_t length) { write_row(port, packet, length); }

static void write_run(struct pio_port *port, const struct pio_vector *vector, const struct pio_run *run, const uint32_t *next) {
  const uint32_t *offsets = pio_column(vector, COLUMN_OFFSET);
  const uint32_t *lengths = pio_column(vector, COLUMN_LENGTH);
  uint8_t *first = vector->bytes + offsets[run->first];
  if (run->rows == 1) {
    write_row(port, first, lengths[run->first]);
    return;
  }
  struct virtio_net_hdr header;
  struct iovec spans[PIO_MAX_RUN + 1];
  uint8_t saved[PIO_MAX_HEADERS];
  memset(&header, 0, sizeof header);
  pio_run_join(run, first, &header, saved);
  int count = 0;
  spans[count++] = (struct iovec){&header, sizeof header};
  for (uint32_t row = run->first, left = run->rows; left > 0; row = next[row], left--) {
    const uint32_t skipped = row == run->first ? 0 : run->inner.payload;
    spans[count++] = (struct iovec){vector->bytes + offsets[row] + skipped, lengths[row] - skipped};
  }
  if (write_span(port, spans, count)) return;
  /* A kernel that knows no such super-packets: what it refuses goes in pieces. */
  if (run->inner.protocol == PIO_UDP && errno == EINVAL) port->vnet_udp = false;
  memcpy(first, saved, run->inner.payload);
  for (uint32_t row = run->first, left = run->rows; left > 0; row = next[row], left--) {
    write_row(port, vector->bytes + offsets[row], lengths[row]);
  }
}

/* tunWrite(port, vector, count) */
static napi_value tun_write(napi_env napi, napi_callback_info info) {
  struct pio_env *env;
  napi_value arguments[3];
  uint32_t rows;
  if (!pio_arguments(napi, info, 3, arguments, &env)) return NULL;
  struct pio_port *port = pio_port_take(env, arguments[0], PORT_TUN);
  if (port == NULL) return NULL;
  struct pio_vector *vector = pio_vector_take(env, arguments[1], arguments[2], &rows);
  if (vector == NULL) return NULL;
  uint32_t *fates = pio_column(vector, COLUMN_FATE);
  const uint32_t *offsets = pio_column(vector, COLUMN_OFFSET);
  const uint32_t *lengths = pio_column(vector, COLUMN_LENGTH);
  const struct pio_coalescing *coalescing = port->vnet ? pio_coalesce(vector, rows, port->vnet_udp) : NULL;
  for (uint32_t i = 0; coalescing != NULL && i < coalescing->count; i++) {
    write_run(port, vector, &coalescing->runs[i], coalescing->next);
  }
  for (uint32_t row = 0; row < rows; row++) {
    if (fates[row] != FATE_TO_DEVICE) continue;
    fates[row] = FATE_DROPPED;
    if (!pio_in_slab(vector, offsets[row], lengths[row], 0)) port->counters[COUNTER_SEND_ERRORS]++;
    else if (coalescing == NULL) write_row(port, vector->bytes + offsets[row], lengths[row]);
  }
  return NULL;
}

/*
 * tunGather(vector, count, udp, Uint8Array): what tunWrite would write to a device with offloads, for tests: for each write its
 * length (32 bits, in the machine's order), a struct virtio_net_hdr and the packet. Returns the bytes that were put down.
 */
static napi_value tun_gather(napi_env napi, napi_callback_info info) {
  struct pio_env *env;
  napi_value arguments[4];
  uint32_t rows;
  bool udp;
  uint8_t *out;
  size_t space, used = 0;
  if (!pio_arguments(napi, info, 4, arguments, &env)) return NULL;
  struct pio_vector *vector = pio_vector_take(env, arguments[0], arguments[1], &rows);
  if (vector == NULL || !pio_bool(napi, arguments[2], &udp) || !pio_bytes(napi, arguments[3], &out, &space)) return NULL;
  const struct pio_coalescing *coalescing = pio_coalesce(vector, rows, udp);
  if (coalescing == NULL) return pio_bug(napi, "out of memory");
  const uint32_t *offsets = pio_column(vector, COLUMN_OFFSET);
  const uint32_t *lengths = pio_column(vector, COLUMN_LENGTH);
  for (uint32_t i = 0; i < coalescing->count; i++) {
    const struct pio_run *run = &coalescing->runs[i];
    struct virtio_net_hdr header;
    uint8_t saved[PIO_MAX_HEADERS];
    memset(&header, 0, sizeof header);
    const uint32_t length = run->rows == 1 ? lengths[run->first] : run->length;
    if (space - used < sizeof length + sizeof header + length) return pio_bug(napi, "too little room");
    if (run->rows > 1) pio_run_join(run, vector->bytes + offsets[run->first], &header, saved);
    memcpy(out + used, &length, sizeof length);
    memcpy(out + used + sizeof length, &header, sizeof header);
    used += sizeof length + sizeof header;
    for (uint32_t row = run->first, left = run->rows; left > 0; row = coalescing->next[row], left--) {
      const uint32_t skipped = row == run->first ? 0 : run->inner.payload;
      memcpy(out + used, vector->bytes + offsets[row] + skipped, lengths[row] - skipped);
      used += lengths[row] - skipped;
    }
  }
  return pio_int(napi, (int32_t)used);
}

const pio_function pio_tun_functions[] = {{"tunOpen", tun_open},       {"tunAttach", tun_attach},
                                          {"tunOffload", tun_offload}, {"tunPersist", tun_persist},
                                          {"tunRead", tun_read},       {"tunWrite", tun_write},
                                          {"tunGather", tun_gather},   {"tunHoldOff", tun_hold_off},
                                          {NULL, NULL}};
