/*
 * A socket of a machine with many addresses answers from the one that was asked: each local address that something came to has a
 * number, which is added to the link of the rows that came to it, and taken from the link of the rows that leave.
 */
#include "udp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Local addresses that are told apart: 1 … LOCALS - 1. 0 stands for those beyond: the kernel chooses. */
#define LOCALS 256

struct local {
  struct in6_addr address; /* IPv4 as mapped */
  uint32_t device;         /* 0: any */
};

struct pio_locals {
  bool same_device;
  uint32_t count; /* with number 0 */
  struct local items[LOCALS];
};

void pio_locals_free(struct pio_port *port) {
  free(port->locals);
  port->locals = NULL;
}

/* The number of a local address, which gets one if there is any left. */
static uint32_t number_of(struct pio_locals *locals, const struct local *wanted) {
  for (uint32_t i = 1; i < locals->count; i++) {
    const struct local *item = &locals->items[i];
    if (item->device == wanted->device && memcmp(&item->address, &wanted->address, sizeof item->address) == 0) return i;
  }
  if (locals->count == LOCALS) return 0;
  locals->items[locals->count] = *wanted;
  return locals->count++;
}

uint32_t pio_local_arrival(struct pio_port *port, struct msghdr *header) {
  struct pio_locals *locals = port->locals;
  if (locals == NULL) return 0;
  for (struct cmsghdr *part = CMSG_FIRSTHDR(header); part != NULL; part = CMSG_NXTHDR(header, part)) {
    struct local local;
    memset(&local, 0, sizeof local);
    if (part->cmsg_level == IPPROTO_IP && part->cmsg_type == IP_PKTINFO) {
      struct in_pktinfo info;
      memcpy(&info, CMSG_DATA(part), sizeof info);
      local.address.s6_addr[10] = local.address.s6_addr[11] = 0xff;
      memcpy(&local.address.s6_addr[12], &info.ipi_spec_dst, sizeof info.ipi_spec_dst);
      if (locals->same_device) local.device = (uint32_t)info.ipi_ifindex;
      return number_of(locals, &local);
    }
    if (part->cmsg_level == IPPROTO_IPV6 && part->cmsg_type == IPV6_PKTINFO) {
      struct in6_pktinfo info;
      memcpy(&info, CMSG_DATA(part), sizeof info);
      local.address = info.ipi6_addr;
      /* An address of one link is nothing without it. */
      if (locals->same_device || IN6_IS_ADDR_LINKLOCAL(&info.ipi6_addr)) local.device = info.ipi6_ifindex;
      return number_of(locals, &local);
    }
  }
  return 0;
}

size_t pio_local_departure(const struct pio_port *port, uint32_t link, struct cmsghdr *part) {
  const struct pio_locals *locals = port->locals;
  const uint32_t number = link - port->link;
  if (locals == NULL || number == 0 || number >= locals->count) return 0;
  const struct local *local = &locals->items[number];
  if (port->family == AF_INET) {
    struct in_pktinfo info;
    memset(&info, 0, sizeof info);
    memcpy(&info.ipi_spec_dst, &local->address.s6_addr[12], sizeof info.ipi_spec_dst);
    info.ipi_ifindex = (int)local->device;
    part->cmsg_level = IPPROTO_IP;
    part->cmsg_type = IP_PKTINFO;
    part->cmsg_len = CMSG_LEN(sizeof info);
    memcpy(CMSG_DATA(part), &info, sizeof info);
    return CMSG_SPACE(sizeof info);
  }
  struct in6_pktinfo info = {.ipi6_addr = local->address, .ipi6_ifindex = local->device};
  part->cmsg_level = IPPROTO_IPV6;
  part->cmsg_type = IPV6_PKTINFO;
  part->cmsg_len = CMSG_LEN(sizeof info);
  memcpy(CMSG_DATA(part), &info, sizeof info);
  return CMSG_SPACE(sizeof info);
}

/* udpMultihome(port, sameDevice): how many links it takes from its first one on, or -errno. Before anything is received. */
static napi_value udp_multihome(napi_env napi, napi_callback_info info) {
  struct pio_env *env;
  napi_value arguments[2];
  bool same_device;
  if (!pio_arguments(napi, info, 2, arguments, &env)) return NULL;
  struct pio_port *port = pio_port_take(env, arguments[0], PORT_UDP);
  if (port == NULL || !pio_bool(napi, arguments[1], &same_device)) return NULL;
  if (port->locals != NULL) return pio_bug(napi, "it is so already");
  const int on = 1;
  /* An IPv6 socket tells of IPv4 in the same manner. */
  const int result = port->family == AF_INET ? setsockopt(port->fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof on)
                                             : setsockopt(port->fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof on);
  if (result < 0) return pio_int(napi, -errno);
  port->locals = calloc(1, sizeof *port->locals);
  if (port->locals == NULL) return pio_int(napi, -ENOMEM);
  port->locals->same_device = same_device;
  port->locals->count = 1;
  port->links = LOCALS;
  return pio_int(napi, LOCALS);
}

const pio_function pio_multihome_functions[] = {{"udpMultihome", udp_multihome}, {NULL, NULL}};
