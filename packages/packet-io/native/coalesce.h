/* Packets to the tun device that belong together become one super-packet, which the kernel takes as a whole. */
#ifndef PACKET_IO_COALESCE_H
#define PACKET_IO_COALESCE_H

#include <linux/virtio_net.h>

#include "inner.h"
#include "packet_io.h"

/* Newer than some systems' headers. */
#ifndef VIRTIO_NET_HDR_GSO_UDP_L4
#define VIRTIO_NET_HDR_GSO_UDP_L4 5
#endif

/* Rows in one super-packet: what 64 KiB of full segments take, and some more for small ones. */
#define PIO_MAX_RUN 64
/* A super-packet stays below this: the kernel's own limit is 65535, and headers may yet be added. */
#define PIO_MAX_COALESCED 65000

/* Rows that leave in one write, linked by pio_coalescing.next. */
struct pio_run {
  uint32_t first;
  uint32_t last;
  uint32_t rows;
  uint32_t length; /* of the packet that all of them make */
  uint32_t segment_bytes;
  uint32_t next_sequence;
  uint16_t next_ip_id;
  bool open;     /* more may follow */
  bool verified; /* the first row's checksums */
  bool pushed;
  struct pio_inner inner; /* of the first row */
};

struct pio_coalescing {
  struct pio_run *runs;
  uint32_t *next;
  uint32_t count;
};

/* Groups the rows TO_DEVICE into runs, in an order that keeps that of each flow. NULL when memory ran out. */
struct pio_coalescing *pio_coalesce(struct pio_vector *vector, uint32_t rows, bool udp);

/*
 * Makes the first row's headers those of the whole run and says so in `header`. What was written over is put into `saved`
 * (PIO_MAX_HEADERS bytes), from where a refused run takes it back.
 */
void pio_run_join(const struct pio_run *run, uint8_t *packet, struct virtio_net_hdr *header, uint8_t *saved);

#endif
