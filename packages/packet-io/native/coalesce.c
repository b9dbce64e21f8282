#include "coalesce.h"

#include <stdlib.h>
#include <string.h>

/* Flows that are looked for at once; two that meet in one place only lose some coalescing. */
#define FLOWS 256
#define NO_RUN 0xffff

void pio_coalescing_free(struct pio_coalescing *coalescing) {
  if (coalescing == NULL) return;
  free(coalescing->runs);
  free(coalescing->next);
  free(coalescing);
}

static struct pio_coalescing *coalescing_of(struct pio_vector *vector) {
  if (vector->coalescing != NULL) return vector->coalescing;
  if (vector->capacity >= NO_RUN) return NULL;
  struct pio_coalescing *coalescing = calloc(1, sizeof *coalescing);
  if (coalescing == NULL) return NULL;
  coalescing->runs = calloc(vector->capacity, sizeof *coalescing->runs);
  coalescing->next = calloc(vector->capacity, sizeof *coalescing->next);
  if (coalescing->runs == NULL || coalescing->next == NULL) {
    pio_coalescing_free(coalescing);
    return NULL;
  }
  return vector->coalescing = coalescing;
}

static uint32_t flow_of(const uint8_t *packet, const struct pio_inner *inner) {
  uint32_t hash = pio_get32(packet + inner->transport) ^ inner->protocol;
  const uint8_t *addresses = packet + (inner->version == 4 ? 12 : 8);
  const uint32_t words = inner->version == 4 ? 2 : 8;
  for (uint32_t i = 0; i < words; i++) hash = (hash ^ pio_get32(addresses + i * 4)) * 0x9e3779b1u;
  return (hash ^ hash >> 15) % FLOWS;
}

/* Whether a packet may be part of a super-packet at all: nothing in its headers that could not be told of every segment. */
static bool joins(const uint8_t *packet, const struct pio_inner *inner, bool udp) {
  if (inner->payload >= inner->length) return false;
  /* No IP options, no extension headers; of the flags at most DF. */
  if (inner->version == 4 ? packet[0] != 0x45 || (packet[6] & 0x80) != 0 : inner->transport != 40) return false;
  const uint8_t *transport = packet + inner->transport;
  if (inner->protocol == PIO_UDP) return udp && pio_get16(transport + 6) != 0;
  /* Neither reserved bits nor any flag but ACK and PSH, no urgent pointer. */
  return (transport[12] & 0x0f) == 0 && (transport[13] & ~TCP_PSH) == TCP_ACK && pio_get16(transport + 18) == 0;
}

/* Whether all headers of two packets agree but for what counts along. */
static bool same_headers(const uint8_t *a, const uint8_t *b, const struct pio_inner *x, const struct pio_inner *y) {
  if (x->version != y->version || x->protocol != y->protocol || x->payload != y->payload) return false;
  if (x->version == 4) {
    /* Type of service, flags, time to live, addresses. */
    if (a[1] != b[1] || a[6] != b[6] || a[8] != b[8] || memcmp(a + 12, b + 12, 8) != 0) return false;
  } else if (memcmp(a, b, 4) != 0 || memcmp(a + 7, b + 7, 33) != 0) {
    /* Version, traffic class and flow label; hop limit and addresses. */
    return false;
  }
  const uint8_t *s = a + x->transport, *t = b + y->transport;
  if (memcmp(s, t, 4) != 0) return false;
  if (x->protocol == PIO_UDP) return true;
  /* Acknowledgement, window, options. */
  return memcmp(s + 8, t + 8, 5) == 0 && memcmp(s + 14, t + 14, 2) == 0 &&
         memcmp(s + 20, t + 20, x->payload - x->transport - 20u) == 0;
}

static bool extend(struct pio_run *run, const uint8_t *first, const uint8_t *packet, const struct pio_inner *inner) {
  const uint32_t payload = inner->length - inner->payload;
  if (!run->open || run->rows == PIO_MAX_RUN || payload > run->segment_bytes ||
      run->length + payload >= PIO_MAX_COALESCED || !same_headers(first, packet, &run->inner, inner)) {
    return false;
  }
  /* Where a router may fragment, the ids must be those that a split would give (RFC 6864). */
  if (inner->version == 4 && (packet[6] & 0x40) == 0 && pio_get16(packet + 4) != run->next_ip_id) return false;
  if (inner->protocol == PIO_TCP && pio_get32(packet + inner->transport + 4) != run->next_sequence) return false;
  /* The kernel will trust the sum that we give it, so what is summed up must have been right. */
  if (!run->verified) {
    run->verified = pio_checksums_hold(first, &run->inner);
    if (!run->verified) {
      run->open = false;
      return false;
    }
  }
  return pio_checksums_hold(packet, inner);
}

static void start(struct pio_run *run, uint32_t row, const uint8_t *packet, const struct pio_inner *inner, bool open) {
  run->first = run->last = row;
  run->rows = 1;
  run->open = open;
  run->verified = false;
  run->pushed = false;
  run->inner = *inner;
  if (!open) return;
  run->length = inner->length;
  run->segment_bytes = inner->length - inner->payload;
  run->next_ip_id = 0;
  if (inner->version == 4) run->next_ip_id = (uint16_t)(pio_get16(packet + 4) + 1);
  if (inner->protocol == PIO_TCP) {
    run->next_sequence = pio_get32(packet + inner->transport + 4) + run->segment_bytes;
    /* Who pushes has no more to say for now: nothing is joined behind it. */
    run->pushed = (packet[inner->transport + 13] & TCP_PSH) != 0;
    if (run->pushed) run->open = false;
  }
}

struct pio_coalescing *pio_coalesce(struct pio_vector *vector, uint32_t rows, bool udp) {
  struct pio_coalescing *coalescing = coalescing_of(vector);
  if (coalescing == NULL) return NULL;
  const uint32_t *fates = pio_column(vector, COLUMN_FATE);
  const uint32_t *offsets = pio_column(vector, COLUMN_OFFSET);
  const uint32_t *lengths = pio_column(vector, COLUMN_LENGTH);
  uint16_t flows[FLOWS];
  memset(flows, 0xff, sizeof flows);
  coalescing->count = 0;
  for (uint32_t row = 0; row < rows; row++) {
    if (fates[row] != FATE_TO_DEVICE || !pio_in_slab(vector, offsets[row], lengths[row], 0)) continue;
    const uint8_t *packet = vector->bytes + offsets[row];
    struct pio_inner inner;
    memset(&inner, 0, sizeof inner);
    bool may_join = false;
    uint16_t *flow = NULL;
    if (pio_inner_read(packet, lengths[row], &inner)) {
      flow = &flows[flow_of(packet, &inner)];
      may_join = joins(packet, &inner, udp);
      struct pio_run *run = *flow == NO_RUN ? NULL : &coalescing->runs[*flow];
      if (may_join && run != NULL && extend(run, vector->bytes + offsets[run->first], packet, &inner)) {
        const uint32_t payload = inner.length - inner.payload;
        coalescing->next[run->last] = row;
        run->last = row;
        run->rows++;
        run->length += payload;
        run->next_sequence += payload;
        run->next_ip_id++;
        run->pushed = inner.protocol == PIO_TCP && (packet[inner.transport + 13] & TCP_PSH) != 0;
        if (run->pushed || payload < run->segment_bytes) run->open = false;
        continue;
      }
    } else {
      /* A fragment, or nothing we know: it may belong to any flow, whose later packets must not go before it. */
      memset(flows, 0xff, sizeof flows);
    }
    start(&coalescing->runs[coalescing->count], row, packet, &inner, may_join);
    if (flow != NULL) *flow = (uint16_t)coalescing->count;
    coalescing->count++;
  }
  return coalescing;
}

void pio_run_join(const struct pio_run *run, uint8_t *packet, struct virtio_net_hdr *header, uint8_t *saved) {
  const struct pio_inner *inner = &run->inner;
  memcpy(saved, packet, inner->payload);
  if (inner->version == 4) {
    pio_put16(packet + 2, run->length);
    pio_ipv4_checksum(packet);
  } else {
    pio_put16(packet + 4, run->length - 40);
  }
  uint8_t *transport = packet + inner->transport;
  if (inner->protocol == PIO_TCP) {
    if (run->pushed) transport[13] |= TCP_PSH;
  } else {
    pio_put16(transport + 4, run->length - inner->transport);
  }
  /* The kernel completes the checksum: in its field stands what it is to begin with. */
  const uint16_t sum = pio_fold(pio_pseudo_sum(packet, inner, run->length - inner->transport));
  memcpy(packet + pio_checksum_offset(inner), &sum, sizeof sum);
  header->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
  header->gso_type = inner->protocol == PIO_UDP ? VIRTIO_NET_HDR_GSO_UDP_L4
                     : inner->version == 4      ? VIRTIO_NET_HDR_GSO_TCPV4
                                                : VIRTIO_NET_HDR_GSO_TCPV6;
  header->hdr_len = inner->payload;
  header->gso_size = (uint16_t)run->segment_bytes;
  header->csum_start = inner->transport;
  header->csum_offset = (uint16_t)(pio_checksum_offset(inner) - inner->transport);
}
