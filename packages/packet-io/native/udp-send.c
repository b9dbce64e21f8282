/* Sending: rows that go the same way and are of one size leave in one system call's one message (UDP_SEGMENT). */
#include "udp.h"

#include <errno.h>
#include <string.h>

/* Messages for one system call. More gain nothing measurable, and sendmmsg takes no more than 1024. */
#define BATCH 64
/* Datagrams in one message: newer kernels take 128. */
#define MAX_SEGMENTS 64
/* Bytes in one message: what a UDP datagram over IPv4 holds. */
#define MAX_MESSAGE 65507
/* Spans for all messages of one system call. */
#define SPANS 256

struct message {
  uint32_t row;     /* the first */
  uint32_t link;    /* of all its rows */
  uint32_t traffic_class; /* likewise */
  uint32_t spans;   /* rows, or 1 for a part of a super-packet */
  uint32_t bytes;
  uint32_t segment; /* 0: a single datagram */
  uint32_t count;   /* datagrams */
  bool part;        /* of a super-packet */
};

union control {
  char bytes[PIO_CONTROL_BYTES];
  struct cmsghdr align;
};

/* All that one system call needs. */
struct sending {
  struct mmsghdr headers[BATCH];
  struct message messages[BATCH];
  union control controls[BATCH];
  union pio_sockaddr targets[BATCH];
  struct iovec spans[SPANS];
  uint32_t rows[SPANS]; /* of each span */
  uint32_t message_count;
  uint32_t span_count;
};

/* Says how a message is to be split (0: not at all), from which local address it goes, and its traffic class (0: as the socket has it). */
static void set_control(const struct pio_port *port, struct msghdr *header, union control *control, uint32_t link,
                        uint32_t traffic_class, uint32_t segment) {
  header->msg_control = NULL;
  header->msg_controllen = 0;
  if (segment == 0 && traffic_class == 0 && port->locals == NULL) return;
  memset(control, 0, sizeof *control);
  size_t used = pio_local_departure(port, link, &control->align);
  if (segment != 0) {
    struct cmsghdr *part = (struct cmsghdr *)(void *)(control->bytes + used);
    part->cmsg_level = IPPROTO_UDP;
    part->cmsg_type = UDP_SEGMENT;
    part->cmsg_len = CMSG_LEN(sizeof(uint16_t));
    const uint16_t bytes = (uint16_t)segment;
    memcpy(CMSG_DATA(part), &bytes, sizeof bytes);
    used += CMSG_SPACE(sizeof bytes);
  }
  if (traffic_class != 0) {
    const union pio_sockaddr *target = header->msg_name;
    const bool v4 = target->any.sa_family == AF_INET || IN6_IS_ADDR_V4MAPPED(&target->v6.sin6_addr);
    struct cmsghdr *part = (struct cmsghdr *)(void *)(control->bytes + used);
    part->cmsg_level = v4 ? IPPROTO_IP : IPPROTO_IPV6;
    part->cmsg_type = v4 ? IP_TOS : IPV6_TCLASS;
    part->cmsg_len = CMSG_LEN(sizeof(int));
    const int value = (int)(traffic_class & 0xff);
    memcpy(CMSG_DATA(part), &value, sizeof value);
    used += CMSG_SPACE(sizeof value);
  }
  if (used == 0) return;
  header->msg_control = control;
  header->msg_controllen = used;
}

/* Starts a message of one span. */
static struct message *begin(const struct pio_port *port, struct sending *sending, uint32_t row, uint32_t link,
                             uint32_t traffic_class, uint8_t *bytes, uint32_t length, socklen_t address) {
  const uint32_t index = sending->message_count++;
  struct message *message = &sending->messages[index];
  *message = (struct message){.row = row, .link = link, .traffic_class = traffic_class, .spans = 1, .bytes = length, .count = 1};
  struct msghdr *header = &sending->headers[index].msg_hdr;
  memset(header, 0, sizeof *header);
  header->msg_name = &sending->targets[index];
  header->msg_namelen = address;
  header->msg_iov = &sending->spans[sending->span_count];
  header->msg_iovlen = 1;
  set_control(port, header, &sending->controls[index], link, traffic_class, 0);
  sending->spans[sending->span_count] = (struct iovec){bytes, length};
  sending->rows[sending->span_count++] = row;
  return message;
}

/* Datagrams of `segment` bytes that fit into one message. */
static uint32_t room_for(uint32_t segment) {
  const uint32_t fit = MAX_MESSAGE / segment;
  return fit < MAX_SEGMENTS ? fit : MAX_SEGMENTS;
}

/* Sends what could not go as one message, datagram by datagram. False when the socket is full; `*done` counts the bytes that went. */
static bool send_plain(struct pio_port *port, const struct msghdr *header, const struct message *message, uint32_t *done) {
  const uint32_t segment = message->segment;
  struct msghdr single;
  union control control;
  memset(&single, 0, sizeof single);
  single.msg_name = header->msg_name;
  single.msg_namelen = header->msg_namelen;
  single.msg_iovlen = 1;
  set_control(port, &single, &control, message->link, message->traffic_class, 0);
  *done = 0;
  for (size_t i = 0; i < header->msg_iovlen; i++) {
    const struct iovec *span = &header->msg_iov[i];
    for (size_t at = 0; at < span->iov_len;) {
      struct iovec one = {(uint8_t *)span->iov_base + at, span->iov_len - at < segment ? span->iov_len - at : segment};
      single.msg_iov = &one;
      const ssize_t sent = sendmsg(port->fd, &single, MSG_DONTWAIT);
      if (sent < 0 && errno == EINTR) continue;
      if (sent < 0 && errno == EAGAIN) return false;
      /* This one is lost for good: no route, larger than the network takes, refused by a filter … */
      if (sent < 0) port->counters[COUNTER_SEND_ERRORS]++;
      at += one.iov_len;
      *done += (uint32_t)one.iov_len;
    }
  }
  return true;
}

/* Takes `bytes` of a message as gone: its rows are DROPPED, or begin later. */
static void take_sent(const struct pio_vector *vector, const struct sending *sending, uint32_t index, uint32_t bytes) {
  uint32_t *fates = pio_column(vector, COLUMN_FATE);
  uint32_t *offsets = pio_column(vector, COLUMN_OFFSET);
  uint32_t *lengths = pio_column(vector, COLUMN_LENGTH);
  uint32_t *segments = pio_column(vector, COLUMN_SEGMENTS);
  const uint32_t *segment_bytes = pio_column(vector, COLUMN_SEGMENT_BYTES);
  const struct message *message = &sending->messages[index];
  const size_t first = (size_t)(sending->headers[index].msg_hdr.msg_iov - sending->spans);
  for (size_t span = first; span < first + message->spans; span++) {
    const uint32_t row = sending->rows[span];
    const uint32_t gone = lengths[row] < bytes ? lengths[row] : bytes;
    /* An empty datagram is gone too. */
    if (gone == 0 && lengths[row] > 0) break;
    bytes -= gone;
    if (gone == lengths[row]) {
      fates[row] = FATE_DROPPED;
      continue;
    }
    offsets[row] += gone;
    lengths[row] -= gone;
    if (segment_bytes[row] != 0) segments[row] = (lengths[row] + segment_bytes[row] - 1) / segment_bytes[row];
  }
}

/* Sends all messages that were gathered. False when the socket is full. */
static bool flush(struct pio_port *port, const struct pio_vector *vector, struct sending *sending) {
  uint32_t done = 0;
  bool full = false;
  while (done < sending->message_count && !full) {
    int sent = sendmmsg(port->fd, sending->headers + done, sending->message_count - done, MSG_DONTWAIT);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && errno == EAGAIN) {
      full = true;
      break;
    }
    if (sent <= 0) {
      const struct message *message = &sending->messages[done];
      uint32_t gone = message->bytes;
      if (message->segment == 0) {
        port->counters[COUNTER_SEND_ERRORS]++;
      } else {
        /* EIO: the device below cannot sum up. EMSGSIZE, EINVAL: a segment is larger than the path, and may yet be fragmented. */
        if (sent < 0 && errno == EIO) port->segments = false;
        full = !send_plain(port, &sending->headers[done].msg_hdr, message, &gone);
      }
      take_sent(vector, sending, done, gone);
      done++;
      continue;
    }
    for (uint32_t end = done + (uint32_t)sent; done < end; done++) {
      take_sent(vector, sending, done, sending->messages[done].bytes);
    }
  }
  sending->message_count = sending->span_count = 0;
  return !full;
}

/* Adds the next part of a super-packet, `*at` bytes of which are in messages already. */
static void add_part(struct pio_port *port, struct sending *sending, const struct pio_vector *vector, uint32_t row, uint32_t *at,
                     socklen_t address) {
  const uint32_t length = pio_column(vector, COLUMN_LENGTH)[row];
  const uint32_t segment = pio_column(vector, COLUMN_SEGMENT_BYTES)[row];
  const uint32_t most = port->segments ? room_for(segment) : 1;
  const uint32_t left = length - *at;
  const uint32_t bytes = left < most * segment ? left : most * segment;
  const uint32_t link = vector->addresses[(size_t)row * ADDRESS_WORDS + ADDRESS_LINK];
  const uint32_t traffic_class = pio_column(vector, COLUMN_TRAFFIC_CLASS)[row];
  uint8_t *from = vector->bytes + pio_column(vector, COLUMN_OFFSET)[row] + *at;
  struct message *message = begin(port, sending, row, link, traffic_class, from, bytes, address);
  message->part = true;
  message->count = (bytes + segment - 1) / segment;
  if (message->count > 1) message->segment = segment;
  set_control(port, &sending->headers[sending->message_count - 1].msg_hdr, &sending->controls[sending->message_count - 1], link,
              traffic_class, message->segment);
  *at += bytes;
}

/* Adds a row to the message before it, when that goes the same way and consists of datagrams that are no shorter. */
static bool join(struct pio_port *port, struct sending *sending, const struct pio_vector *vector, uint32_t row) {
  if (!port->segments || sending->message_count == 0 || sending->span_count == SPANS) return false;
  const uint32_t index = sending->message_count - 1;
  struct message *message = &sending->messages[index];
  const uint32_t length = pio_column(vector, COLUMN_LENGTH)[row];
  const uint32_t segment = message->segment == 0 ? message->bytes : message->segment;
  if (message->part || length == 0 || length > segment || message->bytes != message->count * segment ||
      message->count >= room_for(segment) || message->bytes + length > MAX_MESSAGE) {
    return false;
  }
  const uint32_t *words = vector->addresses + (size_t)row * ADDRESS_WORDS;
  const uint32_t *before = vector->addresses + (size_t)message->row * ADDRESS_WORDS;
  if (memcmp(words, before, ADDRESS_WORDS * sizeof *words) != 0) return false;
  if (pio_column(vector, COLUMN_TRAFFIC_CLASS)[row] != message->traffic_class) return false;
  sending->spans[sending->span_count] = (struct iovec){vector->bytes + pio_column(vector, COLUMN_OFFSET)[row], length};
  sending->rows[sending->span_count++] = row;
  struct msghdr *header = &sending->headers[index].msg_hdr;
  header->msg_iovlen++;
  message->spans++;
  message->bytes += length;
  message->count++;
  if (message->segment == 0) {
    message->segment = segment;
    set_control(port, header, &sending->controls[index], message->link, message->traffic_class, segment);
  }
  return true;
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
  const uint32_t *segments = pio_column(vector, COLUMN_SEGMENTS);
  const uint32_t *segment_bytes = pio_column(vector, COLUMN_SEGMENT_BYTES);
  const uint32_t *traffic_classes = pio_column(vector, COLUMN_TRAFFIC_CLASS);
  struct sending sending;
  sending.message_count = sending.span_count = 0;
  bool full = false;
  for (uint32_t row = 0; row < rows && !full; row++) {
    const uint32_t *words = vector->addresses + (size_t)row * ADDRESS_WORDS;
    if (fates[row] != FATE_TO_LINK || !pio_is_mine(port, words[ADDRESS_LINK])) continue;
    const uint32_t offset = offsets[row], length = lengths[row];
    const bool super = segments[row] > 1;
    if (!pio_in_slab(vector, offset, length, 0) ||
        (super && (segment_bytes[row] == 0 || segment_bytes[row] > MAX_MESSAGE || length == 0))) {
      fates[row] = FATE_DROPPED;
      port->counters[COUNTER_SEND_ERRORS]++;
      continue;
    }
    if (!super && join(port, &sending, vector, row)) continue;
    /* The parts of a super-packet are told apart by their row's offset: none may stand in two calls' messages. */
    for (uint32_t at = 0; at < length || (!super && at == 0);) {
      if (sending.message_count == BATCH || sending.span_count == SPANS) {
        const bool mine = at > 0;
        full = !flush(port, vector, &sending);
        if (full) break;
        /* What went of this row is not in its columns any more. */
        if (mine) {
          row--;
          break;
        }
      }
      const socklen_t address = pio_socket_address(port, words, &sending.targets[sending.message_count]);
      if (address == 0) {
        fates[row] = FATE_DROPPED;
        port->counters[COUNTER_SEND_ERRORS]++;
        break;
      }
      if (super) {
        add_part(port, &sending, vector, row, &at, address);
      } else {
        begin(port, &sending, row, words[ADDRESS_LINK], traffic_classes[row], vector->bytes + offset, length, address);
        break;
      }
    }
  }
  if (!full) full = !flush(port, vector, &sending);
  if (full) {
    port->counters[COUNTER_FULL]++;
    port->writing = true;
    pio_port_update(port);
  }
  return napi_get_boolean(napi, !full, &result) == napi_ok ? result : NULL;
}

bool pio_udp_send_lone(struct pio_port *port, uint8_t *bytes, uint32_t length, const uint32_t *words) {
  union pio_sockaddr target;
  union control control;
  const socklen_t size = pio_socket_address(port, words, &target);
  ssize_t sent = -1;
  if (size != 0) {
    struct iovec span = {bytes, length};
    struct msghdr header = {.msg_name = &target, .msg_namelen = size, .msg_iov = &span, .msg_iovlen = 1};
    set_control(port, &header, &control, words[ADDRESS_LINK], 0, 0);
    do {
      sent = sendmsg(port->fd, &header, MSG_DONTWAIT);
    } while (sent < 0 && errno == EINTR);
    if (sent < 0 && errno == EAGAIN) return false;
  }
  if (sent < 0) port->counters[COUNTER_SEND_ERRORS]++;
  return true;
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
  if (!pio_udp_send_lone(port, packet, (uint32_t)length, words)) port->counters[COUNTER_SEND_FULL]++;
  return NULL;
}

const pio_function pio_udp_send_functions[] = {{"udpSend", udp_send}, {"udpSendOne", udp_send_one}, {NULL, NULL}};
