/* What the offloads know of inner packets: IP, TCP and UDP headers, their checksums, and the splitting of super-packets. */
#ifndef PACKET_IO_INNER_H
#define PACKET_IO_INNER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PIO_TCP 6
#define PIO_UDP 17
/* The longest headers of IP and TCP that are split: an IPv6 header, some extension headers, a TCP header with options. */
#define PIO_MAX_HEADERS 256
/* A packet is at most 65535 bytes long (IPv6: 40 more, which no stack sends without being asked for). */
#define PIO_MAX_PACKET 65535

enum pio_tcp_flag { TCP_FIN = 0x01, TCP_SYN = 0x02, TCP_PSH = 0x08, TCP_ACK = 0x10, TCP_CWR = 0x80 };

static inline uint16_t pio_get16(const uint8_t *at) { return (uint16_t)(at[0] << 8 | at[1]); }
static inline uint32_t pio_get32(const uint8_t *at) {
  return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}
static inline void pio_put16(uint8_t *at, uint32_t value) {
  at[0] = (uint8_t)(value >> 8);
  at[1] = (uint8_t)value;
}
static inline void pio_put32(uint8_t *at, uint32_t value) {
  pio_put16(at, value >> 16);
  pio_put16(at + 2, value);
}

/* An inner packet that is a whole TCP segment or UDP datagram. Offsets from its first byte. */
struct pio_inner {
  uint8_t version;
  uint8_t protocol;
  uint16_t transport;
  uint16_t payload;
  uint32_t length;
};

/*
 * Reads the headers of a packet of exactly `length` bytes. False for everything else than TCP and UDP, for fragments, and
 * when lengths do not agree; `payload` may equal `length`.
 */
bool pio_inner_read(const uint8_t *packet, uint32_t length, struct pio_inner *inner);

/* Whether the destination is a group or the broadcast address. */
bool pio_inner_is_for_many(const uint8_t *packet, const struct pio_inner *inner);

/*
 * Sums for the Internet checksum (RFC 1071), in the byte order of memory: a folded sum is stored by memcpy. Only the last
 * of the parts that are summed up may have an odd length.
 */
uint64_t pio_sum(const uint8_t *bytes, size_t length, uint64_t sum);
uint16_t pio_fold(uint64_t sum);
/* The pseudo-header of a transport header and payload of `length` bytes. */
uint64_t pio_pseudo_sum(const uint8_t *packet, const struct pio_inner *inner, uint32_t length);
/* Where the transport checksum stands. */
static inline uint32_t pio_checksum_offset(const struct pio_inner *inner) {
  return inner->transport + (inner->protocol == PIO_TCP ? 16u : 6u);
}
/* Whether IPv4 header checksum and transport checksum are right; a UDP checksum of zero is not. */
bool pio_checksums_hold(const uint8_t *packet, const struct pio_inner *inner);
void pio_ipv4_checksum(uint8_t *packet);
/* Sums up what stands from `start` on, the pseudo-header being in the checksum field already, and puts the checksum there. */
bool pio_complete_checksum(uint8_t *packet, uint32_t length, uint32_t start, uint32_t offset);

/* A super-packet that is being split: its headers are kept here, since those in the packet are written over. */
struct pio_split {
  struct pio_inner inner;
  uint32_t segments;
  uint32_t segment_bytes;
  uint32_t payload_bytes;
  uint8_t headers[PIO_MAX_HEADERS];
};

/* How many segments of `segment_bytes` of payload a packet is. */
uint32_t pio_segments_of(const struct pio_inner *inner, uint32_t segment_bytes);

/* False when the row is no super-packet with that many segments. */
bool pio_split_begin(struct pio_split *split, const uint8_t *packet, uint32_t length, uint32_t segments, uint32_t segment_bytes);

/*
 * Writes the headers of segment `index` at `at`, right before its payload, with their checksums. Segments go in order: the
 * headers of one may be written over the payload of the one before. Returns the length of the packet.
 */
uint32_t pio_split_write(const struct pio_split *split, uint32_t index, uint8_t *at);

#endif
