#include "inner.h"

#include <arpa/inet.h>
#include <string.h>

#define MAX_EXTENSION_HEADERS 4

/* RFC 8200: hop-by-hop, routing and destination options may stand before the transport header. */
static bool skips(uint8_t next) { return next == 0 || next == 43 || next == 60; }

bool pio_inner_read(const uint8_t *packet, uint32_t length, struct pio_inner *inner) {
  if (length < 28 || length > PIO_MAX_PACKET) return false;
  uint32_t transport;
  if (packet[0] >> 4 == 4) {
    transport = (packet[0] & 0x0f) * 4u;
    /* More fragments, or not the first. */
    if (transport < 20 || pio_get16(packet + 2) != length || (pio_get16(packet + 6) & 0x3fff) != 0) return false;
    inner->version = 4;
    inner->protocol = packet[9];
  } else if (packet[0] >> 4 == 6) {
    if (length < 48 || pio_get16(packet + 4) + 40u != length) return false;
    inner->version = 6;
    inner->protocol = packet[6];
    transport = 40;
    for (int headers = 0; skips(inner->protocol); headers++) {
      if (headers == MAX_EXTENSION_HEADERS || transport + 8 > length) return false;
      /* On its way through a list of routers the destination, which the checksum covers, is another. */
      if (inner->protocol == 43 && packet[transport + 3] != 0) return false;
      inner->protocol = packet[transport];
      transport += (packet[transport + 1] + 1u) * 8;
    }
  } else {
    return false;
  }
  uint32_t header;
  if (inner->protocol == PIO_TCP) {
    if (transport + 20 > length) return false;
    header = (packet[transport + 12] >> 4) * 4u;
    if (header < 20) return false;
  } else if (inner->protocol == PIO_UDP) {
    header = 8;
    if (transport + 8 > length || pio_get16(packet + transport + 4) + transport != length) return false;
  } else {
    return false;
  }
  if (transport + header > length || transport + header > PIO_MAX_HEADERS) return false;
  inner->transport = (uint16_t)transport;
  inner->payload = (uint16_t)(transport + header);
  inner->length = length;
  return true;
}

bool pio_inner_is_for_many(const uint8_t *packet, const struct pio_inner *inner) {
  if (inner->version == 6) return packet[24] == 0xff;
  return packet[16] >> 4 == 0xe || pio_get32(packet + 16) == 0xffffffff;
}

uint64_t pio_sum(const uint8_t *bytes, size_t length, uint64_t sum) {
  uint64_t lanes[4] = {0, 0, 0, 0};
  size_t at = 0;
  for (; at + 16 <= length; at += 16) {
    uint32_t words[4];
    memcpy(words, bytes + at, sizeof words);
    for (int i = 0; i < 4; i++) lanes[i] += words[i];
  }
  sum += lanes[0] + lanes[1] + lanes[2] + lanes[3];
  for (; at + 2 <= length; at += 2) {
    uint16_t word;
    memcpy(&word, bytes + at, sizeof word);
    sum += word;
  }
  if (at < length) {
    const uint8_t last[2] = {bytes[at], 0};
    uint16_t word;
    memcpy(&word, last, sizeof word);
    sum += word;
  }
  return sum;
}

uint16_t pio_fold(uint64_t sum) {
  sum = (sum & 0xffffffff) + (sum >> 32);
  sum = (sum & 0xffffffff) + (sum >> 32);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  return (uint16_t)sum;
}

uint64_t pio_pseudo_sum(const uint8_t *packet, const struct pio_inner *inner, uint32_t length) {
  const uint64_t rest = (uint64_t)htons(inner->protocol) + htons((uint16_t)length);
  return inner->version == 4 ? pio_sum(packet + 12, 8, rest) : pio_sum(packet + 8, 32, rest);
}

bool pio_checksums_hold(const uint8_t *packet, const struct pio_inner *inner) {
  if (inner->version == 4 && pio_fold(pio_sum(packet, inner->transport, 0)) != 0xffff) return false;
  if (inner->protocol == PIO_UDP && pio_get16(packet + inner->transport + 6) == 0) return false;
  const uint32_t length = inner->length - inner->transport;
  return pio_fold(pio_sum(packet + inner->transport, length, pio_pseudo_sum(packet, inner, length))) == 0xffff;
}

void pio_ipv4_checksum(uint8_t *packet) {
  memset(packet + 10, 0, 2);
  const uint16_t checksum = (uint16_t)~pio_fold(pio_sum(packet, (packet[0] & 0x0f) * 4u, 0));
  memcpy(packet + 10, &checksum, 2);
}

/* A UDP checksum of zero says that there is none (RFC 768); in TCP both zeros are the same. */
static void put_checksum(uint8_t *at, uint64_t sum, bool udp) {
  uint16_t checksum = (uint16_t)~pio_fold(sum);
  if (checksum == 0 && udp) checksum = 0xffff;
  memcpy(at, &checksum, 2);
}

bool pio_complete_checksum(uint8_t *packet, uint32_t length, uint32_t start, uint32_t offset) {
  if (start >= length || offset > length - start || length - start - offset < 2) return false;
  /* Only UDP has its checksum there. */
  put_checksum(packet + start + offset, pio_sum(packet + start, length - start, 0), offset == 6);
  return true;
}

uint32_t pio_segments_of(const struct pio_inner *inner, uint32_t segment_bytes) {
  return (inner->length - inner->payload + segment_bytes - 1) / segment_bytes;
}

bool pio_split_begin(struct pio_split *split, const uint8_t *packet, uint32_t length, uint32_t segments, uint32_t segment_bytes) {
  if (!pio_inner_read(packet, length, &split->inner)) return false;
  if (segment_bytes == 0 || segment_bytes > PIO_MAX_PACKET || segments < 2 ||
      pio_segments_of(&split->inner, segment_bytes) != segments) {
    return false;
  }
  split->segments = segments;
  split->segment_bytes = segment_bytes;
  split->payload_bytes = length - split->inner.payload;
  memcpy(split->headers, packet, split->inner.payload);
  return true;
}

uint32_t pio_split_write(const struct pio_split *split, uint32_t index, uint8_t *at) {
  const struct pio_inner *inner = &split->inner;
  const bool last = index == split->segments - 1;
  const uint32_t before = index * split->segment_bytes;
  const uint32_t payload = last ? split->payload_bytes - before : split->segment_bytes;
  const uint32_t length = inner->payload + payload;
  memcpy(at, split->headers, inner->payload);
  if (inner->version == 4) {
    pio_put16(at + 2, length);
    pio_put16(at + 4, pio_get16(at + 4) + index);
    pio_ipv4_checksum(at);
  } else {
    pio_put16(at + 4, length - 40);
  }
  uint8_t *transport = at + inner->transport;
  if (inner->protocol == PIO_TCP) {
    pio_put32(transport + 4, pio_get32(transport + 4) + before);
    if (index > 0) transport[13] &= (uint8_t)~TCP_CWR;
    if (!last) transport[13] &= (uint8_t)~(TCP_FIN | TCP_PSH);
  } else {
    pio_put16(transport + 4, length - inner->transport);
  }
  uint8_t *checksum = at + pio_checksum_offset(inner);
  memset(checksum, 0, 2);
  const uint32_t summed = length - inner->transport;
  put_checksum(checksum, pio_sum(transport, summed, pio_pseudo_sum(at, inner, summed)), inner->protocol == PIO_UDP);
  return length;
}
