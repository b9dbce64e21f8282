/*
 * Splits and gathers packets that are right, nearly right and plain wrong, each in memory of exactly its size, and checks what comes out. For a build with
 * AddressSanitizer: `offloads SEED ROUNDS`. Prints what it did; anything wrong ends it with a line that says so.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../native/coalesce.h"
#include "../../native/inner.h"

#define MAX_ROWS 64
#define ROW_BYTES 2048

static uint64_t state;
static unsigned long rounds, splits, refused, packets, runs, joined;

static uint32_t any(void) {
  /* xorshift64*, by S. Vigna. */
  state ^= state >> 12;
  state ^= state << 25;
  state ^= state >> 27;
  return (uint32_t)(state * 0x2545f4914f6cdd1dull >> 32);
}
static uint32_t below(uint32_t limit) { return any() % limit; }
static bool one_in(uint32_t times) { return below(times) == 0; }

static void demand(bool holds, const char *what) {
  if (holds) return;
  printf("round %lu: %s\n", rounds, what);
  exit(1);
}

struct flow {
  bool v6, udp;
  uint8_t ttl, options, flags;
  bool may_fragment;
  uint16_t port, id;
  uint32_t sequence;
};

static struct flow any_flow(void) {
  return (struct flow){.v6 = one_in(2),
                       .udp = one_in(3),
                       .ttl = (uint8_t)(1 + below(255)),
                       .options = (uint8_t)(4 * (one_in(2) ? 0 : below(11))),
                       .flags = one_in(3) ? (uint8_t)any() : TCP_ACK,
                       .may_fragment = one_in(2),
                       .port = (uint16_t)(1 + below(4)),
                       .id = (uint16_t)any(),
                       .sequence = any()};
}

static uint32_t headers_of(const struct flow *flow) { return (flow->v6 ? 40u : 20u) + (flow->udp ? 8u : 20u + flow->options); }

/* Writes the next packet of a flow, with right checksums. Returns its length. */
static uint32_t write_packet(struct flow *flow, uint8_t *at, uint32_t payload) {
  const uint32_t transport = flow->v6 ? 40 : 20, headers = headers_of(flow), length = headers + payload;
  memset(at, 0, headers);
  if (flow->v6) {
    at[0] = 0x60;
    pio_put16(at + 4, length - 40);
    at[6] = flow->udp ? PIO_UDP : PIO_TCP;
    at[7] = flow->ttl;
    at[8] = at[24] = 0xfd;
    at[23] = 1;
    at[39] = 2;
  } else {
    at[0] = 0x45;
    pio_put16(at + 2, length);
    pio_put16(at + 4, flow->id++);
    at[6] = flow->may_fragment ? 0 : 0x40;
    at[8] = flow->ttl;
    at[9] = flow->udp ? PIO_UDP : PIO_TCP;
    at[12] = at[16] = 10;
    at[15] = 1;
    at[19] = 2;
    pio_ipv4_checksum(at);
  }
  pio_put16(at + transport, 40000);
  pio_put16(at + transport + 2, flow->port);
  if (flow->udp) {
    pio_put16(at + transport + 4, length - transport);
  } else {
    pio_put32(at + transport + 4, flow->sequence);
    at[transport + 12] = (uint8_t)((headers - transport) / 4 << 4);
    at[transport + 13] = flow->flags;
    pio_put16(at + transport + 14, 500);
    memset(at + transport + 20, 1, flow->options);
    flow->sequence += payload;
  }
  for (uint32_t i = 0; i < payload; i++) at[headers + i] = (uint8_t)any();
  struct pio_inner inner;
  demand(pio_inner_read(at, length, &inner), "a packet that is right was refused");
  uint8_t *checksum = at + pio_checksum_offset(&inner);
  uint16_t sum = (uint16_t)~pio_fold(pio_sum(at + transport, length - transport, pio_pseudo_sum(at, &inner, length - transport)));
  if (sum == 0 && flow->udp) sum = 0xffff;
  memcpy(checksum, &sum, 2);
  return length;
}

/* Changes a few bytes, mostly of those that say how long something is and what comes next. */
static void damage(uint8_t *at, uint32_t length) {
  static const uint8_t telling[] = {0, 2, 3, 4, 5, 6, 9, 24, 25, 32, 40, 41, 44, 45, 52};
  for (uint32_t changes = 1 + below(4); changes > 0; changes--) {
    const uint32_t place = one_in(2) ? telling[below(sizeof telling)] : one_in(2) ? below(64) : any();
    if (length > 0) at[place % length] = (uint8_t)any();
  }
  /* Extension headers, each of which says where the next one is. */
  static const uint8_t extensions[] = {0, 43, 60};
  if (length >= 48 && at[0] >> 4 == 6 && one_in(2)) {
    at[6] = extensions[below(3)];
    at[40] = one_in(2) ? extensions[below(3)] : at[40];
    at[41] = (uint8_t)below(4);
  }
}

/* Cuts a packet off, and often makes its headers agree with that. */
static uint32_t cut(uint8_t *at, uint32_t length) {
  const uint32_t left = one_in(2) ? below(length + 1) : 28 + below(60);
  if (left >= length || left < 8 || one_in(4)) return left < length ? left : length;
  if (at[0] >> 4 == 4) pio_put16(at + 2, left);
  if (at[0] >> 4 == 6 && left >= 40) pio_put16(at + 4, left - 40);
  return left;
}

static uint8_t *exactly(const uint8_t *bytes, size_t length) {
  uint8_t *copy = malloc(length == 0 ? 1 : length);
  demand(copy != NULL, "out of memory");
  memcpy(copy, bytes, length);
  return copy;
}

static void split_one(void) {
  static uint8_t room[PIO_MAX_PACKET];
  struct flow flow = any_flow();
  const uint32_t headers = headers_of(&flow);
  const uint32_t payload = one_in(8) ? below(65535 - headers) : below(one_in(3) ? 40 : 6000);
  uint32_t length = write_packet(&flow, room, payload);
  if (one_in(2)) damage(room, length);
  if (one_in(4)) length = cut(room, length);
  const uint32_t step = one_in(20) ? any() : 1 + below(one_in(4) || payload < 200 ? 16 : 1500);
  uint32_t count = one_in(20) || step == 0 ? any() : (payload + step - 1) / step;
  struct pio_inner inner;
  if (one_in(2) && step != 0 && pio_inner_read(room, length, &inner)) count = pio_segments_of(&inner, step);
  uint8_t *packet = exactly(room, length);
  struct pio_split split;
  if (!pio_split_begin(&split, packet, length, count, step)) {
    refused++;
    free(packet);
    return;
  }
  splits++;
  uint32_t carried = 0;
  for (uint32_t index = 0; index < split.segments; index++) {
    uint8_t *at = packet + (size_t)index * split.segment_bytes;
    const uint32_t bytes = pio_split_write(&split, index, at);
    demand(at + bytes <= packet + length, "a segment reaches beyond its packet");
    struct pio_inner inner;
    demand(pio_inner_read(at, bytes, &inner) && inner.payload == split.inner.payload, "a segment is no packet");
    demand(pio_checksums_hold(at, &inner), "a segment has a wrong checksum");
    demand(memcmp(at + inner.payload, room + split.inner.payload + carried, bytes - inner.payload) == 0, "a segment has other bytes");
    carried += bytes - inner.payload;
    packets++;
  }
  demand(carried == split.payload_bytes, "segments hold more or less than the packet");
  free(packet);
}

/* Without what a split counts anew where nobody may fragment (RFC 6864). */
static void forget_atomic_id(uint8_t *packet) {
  if (packet[0] >> 4 == 4 && (packet[6] & 0x40) != 0) {
    memset(packet + 4, 0, 2);
    memset(packet + 10, 0, 2);
  }
}

/* A run, joined and split again, is what it was. */
static void check_run(struct pio_vector *vector, const struct pio_coalescing *coalescing, const struct pio_run *run) {
  static uint8_t whole[PIO_MAX_PACKET + ROW_BYTES];
  const uint32_t *offsets = pio_column(vector, COLUMN_OFFSET), *lengths = pio_column(vector, COLUMN_LENGTH);
  uint8_t *first = vector->bytes + offsets[run->first];
  uint8_t *before = exactly(first, lengths[run->first]);
  struct virtio_net_hdr header;
  uint8_t saved[PIO_MAX_HEADERS];
  memset(&header, 0, sizeof header);
  pio_run_join(run, first, &header, saved);
  uint32_t length = 0;
  for (uint32_t row = run->first, left = run->rows; left > 0; row = coalescing->next[row], left--) {
    const uint32_t skipped = row == run->first ? 0 : run->inner.payload;
    demand(length + lengths[row] - skipped <= PIO_MAX_COALESCED, "a run is too long");
    memcpy(whole + length, vector->bytes + offsets[row] + skipped, lengths[row] - skipped);
    length += lengths[row] - skipped;
  }
  demand(length == run->length, "a run is not as long as it says");
  memcpy(first, saved, run->inner.payload);
  demand(memcmp(first, before, lengths[run->first]) == 0, "the first packet did not come back");
  free(before);
  uint8_t *packet = exactly(whole, length);
  struct pio_split split;
  demand(pio_split_begin(&split, packet, length, run->rows, header.gso_size), "a run cannot be split");
  uint32_t row = run->first;
  for (uint32_t index = 0; index < run->rows; index++, row = coalescing->next[row]) {
    uint8_t *at = packet + (size_t)index * split.segment_bytes;
    const uint32_t bytes = pio_split_write(&split, index, at);
    demand(bytes == lengths[row], "a packet has another length");
    uint8_t *was = exactly(vector->bytes + offsets[row], bytes), *is = exactly(at, bytes);
    forget_atomic_id(was);
    forget_atomic_id(is);
    demand(memcmp(was, is, bytes) == 0, "a packet is another");
    free(was);
    free(is);
  }
  free(packet);
  runs++;
  joined += run->rows;
}

static void gather_one(void) {
  const uint32_t rows = 1 + below(MAX_ROWS);
  uint8_t *bytes = malloc((size_t)MAX_ROWS * ROW_BYTES);
  uint32_t *table = calloc((size_t)COLUMNS * MAX_ROWS, sizeof *table);
  demand(bytes != NULL && table != NULL, "out of memory");
  struct pio_vector vector = {.bytes = bytes, .table = table, .capacity = MAX_ROWS, .packet_bytes = ROW_BYTES, .stride = ROW_BYTES};
  uint32_t *offsets = pio_column(&vector, COLUMN_OFFSET), *lengths = pio_column(&vector, COLUMN_LENGTH);
  uint32_t *fates = pio_column(&vector, COLUMN_FATE);
  struct flow flows[3] = {any_flow(), any_flow(), any_flow()};
  /* Now and then nothing happens to a single flow: it becomes as long a run as there can be. */
  const bool quiet = one_in(8);
  const uint32_t usual = 1 + below(1400), flow_count = quiet ? 1 : 3;
  if (quiet) flows[0].flags = TCP_ACK;
  size_t place = 0;
  for (uint32_t row = 0; row < rows; row++) {
    uint8_t packet[ROW_BYTES];
    uint32_t length = write_packet(&flows[below(flow_count)], packet, !quiet && one_in(6) ? below(one_in(2) ? 20 : 1400) : usual);
    if (!quiet && one_in(10)) damage(packet, length);
    if (!quiet && one_in(40)) length = cut(packet, length);
    memcpy(bytes + place, packet, length);
    offsets[row] = (uint32_t)place;
    lengths[row] = length;
    fates[row] = !quiet && one_in(20) ? FATE_DROPPED : FATE_TO_DEVICE;
    place += length;
    if (!quiet && one_in(60)) offsets[row] = any();
    if (!quiet && one_in(60)) lengths[row] = any();
  }
  /* Not a byte more than there is. */
  vector.bytes = exactly(bytes, place);
  vector.bytes_length = place;
  free(bytes);
  const struct pio_coalescing *coalescing = pio_coalesce(&vector, rows, one_in(2));
  demand(coalescing != NULL, "out of memory");
  bool seen[MAX_ROWS] = {false};
  for (uint32_t i = 0; i < coalescing->count; i++) {
    const struct pio_run *run = &coalescing->runs[i];
    uint32_t row = run->first;
    for (uint32_t left = run->rows; left > 0; left--, row = coalescing->next[row]) {
      demand(row < rows && fates[row] == FATE_TO_DEVICE && !seen[row], "a row is in two runs, or none of ours");
      seen[row] = true;
    }
    if (run->rows > 1) check_run(&vector, coalescing, run);
  }
  for (uint32_t row = 0; row < rows; row++) {
    const bool lies = offsets[row] <= place && lengths[row] <= place - offsets[row];
    if (fates[row] == FATE_TO_DEVICE && lies && lengths[row] > 0) demand(seen[row], "a row was forgotten");
  }
  pio_coalescing_free(vector.coalescing);
  free(vector.bytes);
  free(table);
}

static void complete_one(void) {
  uint8_t bytes[128];
  const uint32_t length = below(sizeof bytes + 1);
  for (uint32_t i = 0; i < length; i++) bytes[i] = (uint8_t)any();
  uint8_t *packet = exactly(bytes, length);
  pio_complete_checksum(packet, length, one_in(4) ? any() : below(140), one_in(4) ? any() : below(140));
  free(packet);
}

int main(int count, char **arguments) {
  if (count != 3) return 2;
  state = strtoull(arguments[1], NULL, 10) * 2 + 1;
  const unsigned long wanted = strtoul(arguments[2], NULL, 10);
  for (rounds = 0; rounds < wanted; rounds++) {
    split_one();
    gather_one();
    complete_one();
  }
  printf("%lu split into %lu, %lu refused, %lu runs of %lu\n", splits, packets, refused, runs, joined);
  return 0;
}
