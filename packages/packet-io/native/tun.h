/* What the tun device does for flows (flow.c). */
#ifndef PACKET_IO_TUN_H
#define PACKET_IO_TUN_H

#include "packet_io.h"

/* Reads one packet into the port, where it waits; `*bytes` are borrowed until then. Its checksum is complete when it is LONE_PACKET. */
enum pio_lone pio_tun_read_lone(struct pio_port *port, const uint8_t **bytes, uint32_t *length);
/* What the device refuses is counted. */
void pio_tun_write_one(struct pio_port *port, uint8_t *packet, uint32_t length);

#endif
