/*
 * Flows. A packet that comes alone, to a peer that stands, between addresses that were decided about before, is opened and written to the device, or sealed and
 * sent, without a call into JavaScript: code and data that were not touched for some milliseconds are out of the caches, and there is much more of both there.
 *
 * Everything is decided in JavaScript, once, for a packet that it carried itself: it grants the flow a key, so many packet ids and that pair of inner addresses. What
 * is taken under a grant is written down in a log, and JavaScript accounts for it at its next turn by the same code as for packets of its own. A packet about which
 * anything is out of the ordinary is left for JavaScript as it came.
 *
 * A grant ends when its packets are used up, when JavaScript revokes it, when the word that counts changes of decisions moves, or when a port or the key goes.
 */
#include "flow.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "inner.h"
#include "tun.h"
#include "udp.h"

/* Flows of each direction, by a hash of what finds them; a newer one takes the place of an older. */
#define FLOWS 256
#define PAIRS 1024
/* Longer packets are JavaScript's. */
#define MAX_LENGTH 2048
#define HEADROOM 64
#define TAILROOM 32
/* After so many packets in a row that were none of theirs, the flows of a port rest until a grant for it when it is quiet. */
#define MAX_MISSES 4
/* A port from which nothing came for so long, in milliseconds, is quiet. */
#define QUIET 1

/* The log: a count, and for each packet these numbers: LOG_WIDTH and LOG_PACKETS of native-flows.ts. */
enum pio_log { LOG_TAG, LOG_ID_HIGH, LOG_ID_LOW, LOG_PAYLOAD_BYTES, LOG_WIRE_BYTES, LOG_AT, LOG_WIDTH };
#define LOG_PACKETS 256

struct pio_flow {
  bool live;
  uint32_t tag; /* JavaScript's name for the peer and the direction */
  uint32_t changes;
  uint32_t packets; /* that it may still take */
  uint64_t id;      /* the next to be used; on receipt the last that was seen */
  struct pio_key *key;
  struct pio_port *link;
  struct pio_port *device;
  uint32_t words[ADDRESS_WORDS];
  uint8_t prefix[4];
};

/* Inner addresses; those of IPv4 in the first four bytes. */
struct pio_pair {
  uint32_t tag;
  uint32_t changes;
  uint8_t version; /* 0: a free place */
  uint8_t source[16];
  uint8_t destination[16];
};

struct pio_flows {
  napi_ref arrays[2];
  double *log;
  const uint32_t *changes;
  uint32_t live[2]; /* flows that live, by the kind of the port that they read from */
  struct pio_pair noted; /* of the packet that is about to be sealed; version 0: none */
  struct pio_flow receive[FLOWS];
  struct pio_flow send[FLOWS];
  struct pio_pair pairs[PAIRS];
  uint8_t work[HEADROOM + MAX_LENGTH + TAILROOM];
};

static uint32_t hash(const uint8_t *bytes, size_t length, uint32_t sum) {
  for (size_t i = 0; i < length; i++) sum = (sum ^ bytes[i]) * 16777619u;
  return sum ^ sum >> 15;
}

static double milliseconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

/*
 * Reads the addresses of a packet that is exactly as long as it says. False for others, and for TCP segments with SYN, whose MSS may have to be changed.
 */
static bool read_pair(const uint8_t *packet, uint32_t length, struct pio_pair *pair) {
  uint32_t header, address_bytes, source;
  uint8_t protocol;
  memset(pair, 0, sizeof *pair);
  if (length < 20) return false;
  if (packet[0] >> 4 == 4) {
    header = (packet[0] & 0x0fu) * 4;
    if (header < 20 || header > length || pio_get16(packet + 2) != length) return false;
    protocol = packet[9];
    source = 12;
    address_bytes = 4;
  } else {
    /* Without a payload it may be a jumbogram. */
    if (packet[0] >> 4 != 6 || length <= 40 || pio_get16(packet + 4) + 40u != length) return false;
    header = 40;
    protocol = packet[6];
    source = 8;
    address_bytes = 16;
  }
  if (protocol == PIO_TCP && (length < header + 20 || (packet[header + 13] & TCP_SYN) != 0)) return false;
  pair->version = packet[0] >> 4;
  memcpy(pair->source, packet + source, address_bytes);
  memcpy(pair->destination, packet + source + address_bytes, address_bytes);
  return true;
}

/* `direction`: 0 on receipt, 1 on sending. */
static struct pio_pair *place_of(struct pio_flows *flows, const struct pio_pair *pair, uint32_t direction) {
  return &flows->pairs[hash(pair->source, sizeof pair->source, hash(pair->destination, sizeof pair->destination, direction)) % PAIRS];
}

/* The decision about packets between these addresses; NULL: there is none, or it does not hold any more. */
static const struct pio_pair *decided(struct pio_flows *flows, const struct pio_pair *pair, uint32_t direction) {
  const struct pio_pair *known = place_of(flows, pair, direction);
  const bool same = known->version == pair->version && (known->tag & 1) == direction && known->changes == *flows->changes &&
                    memcmp(known->source, pair->source, sizeof pair->source) == 0 &&
                    memcmp(known->destination, pair->destination, sizeof pair->destination) == 0;
  return same ? known : NULL;
}

static struct pio_flow *receive_flow(struct pio_flows *flows, const uint8_t *prefix) {
  return &flows->receive[hash(prefix, 4, 0) % FLOWS];
}

static struct pio_flow *send_flow(struct pio_flows *flows, uint32_t tag) { return &flows->send[tag / 2 % FLOWS]; }

static uint32_t *live_of(struct pio_flows *flows, const struct pio_flow *flow) {
  return &flows->live[flow >= flows->send ? PORT_TUN : PORT_UDP];
}

static void end(struct pio_flows *flows, struct pio_flow *flow) {
  if (!flow->live) return;
  flow->live = false;
  --*live_of(flows, flow);
}

/* Whether the flow may take a packet now. */
static bool may_take(struct pio_flows *flows, struct pio_flow *flow) {
  if (!flow->live || flow->changes != *flows->changes || flow->packets == 0) {
    end(flows, flow);
    return false;
  }
  /* JavaScript could have written anything there. */
  return flows->log[0] >= 0 && flows->log[0] < LOG_PACKETS;
}

static void note(struct pio_flows *flows, struct pio_flow *flow, uint64_t id, uint32_t payload, uint32_t wire) {
  double *entry = flows->log + 1 + (size_t)flows->log[0] * LOG_WIDTH;
  entry[LOG_TAG] = flow->tag;
  entry[LOG_ID_HIGH] = (double)(id >> 32);
  entry[LOG_ID_LOW] = (double)(uint32_t)id;
  entry[LOG_PAYLOAD_BYTES] = payload;
  entry[LOG_WIRE_BYTES] = wire;
  entry[LOG_AT] = milliseconds();
  flows->log[0] += 1;
  flow->packets--;
}

/* From the link to the device. The datagram stays as it is. */
static bool carry_in(struct pio_flows *flows, const uint8_t *datagram, uint32_t length, const uint32_t *words) {
  if (length < sizeof flows->receive->prefix || length > MAX_LENGTH) return false;
  struct pio_flow *flow = receive_flow(flows, datagram);
  if (!may_take(flows, flow) || memcmp(flow->prefix, datagram, sizeof flow->prefix) != 0 ||
      memcmp(flow->words, words, sizeof flow->words) != 0) {
    return false;
  }
  const struct pio_key_shape shape = pio_key_shape(flow->key);
  if (length <= shape.head + shape.tail) return false;
  const uint64_t id = pio_key_id(flow->key, datagram);
  /* What comes late, or of another epoch, is for the replay window. */
  if (id <= flow->id || (shape.epoch && id >> 48 != flow->id >> 48)) return false;
  memcpy(flows->work, datagram, length);
  struct pio_pair pair;
  const uint32_t payload = length - shape.head - shape.tail;
  uint8_t *packet = flows->work + shape.head;
  if (!pio_key_open(flow->key, flows->work, length) || !read_pair(packet, payload, &pair)) return false;
  const struct pio_pair *known = decided(flows, &pair, 0);
  if (known == NULL || known->tag != flow->tag) return false;
  pio_tun_write_one(flow->device, packet, payload);
  flow->id = id;
  note(flows, flow, id, payload, length);
  return true;
}

/* From the device to the link. The packet stays as it is. */
static bool carry_out(struct pio_flows *flows, const struct pio_port *device, const uint8_t *packet, uint32_t length) {
  struct pio_pair pair;
  if (length > MAX_LENGTH || !read_pair(packet, length, &pair)) return false;
  const struct pio_pair *known = decided(flows, &pair, 1);
  if (known == NULL) return false;
  struct pio_flow *flow = send_flow(flows, known->tag);
  if (!may_take(flows, flow) || flow->tag != known->tag || flow->device != device) return false;
  const struct pio_key_shape shape = pio_key_shape(flow->key);
  /* An id is never used again, whatever becomes of its packet. */
  const uint64_t id = flow->id++;
  const uint32_t wire = shape.head + length + shape.tail;
  if (!pio_key_seal(flow->key, packet, length, id, flows->work) ||
      !pio_udp_send_lone(flow->link, flows->work, wire, flow->words)) {
    end(flows, flow);
    return false;
  }
  note(flows, flow, id, length, wire);
  return true;
}

bool pio_flows_wanted(struct pio_port *port) {
  const struct pio_flows *flows = port->env->flows;
  if (flows == NULL) return false;
  const double now = milliseconds();
  port->quiet = now - port->heard >= QUIET;
  port->heard = now;
  return flows->live[port->kind] > 0 && port->misses < MAX_MISSES;
}

bool pio_flow_turn(struct pio_port *port) {
  struct pio_flows *flows = port->env->flows;
  const uint8_t *bytes;
  uint32_t length;
  uint32_t words[ADDRESS_WORDS];
  const bool incoming = port->kind == PORT_UDP;
  const enum pio_lone lone = incoming ? pio_udp_receive_lone(port, &bytes, &length, words) : pio_tun_read_lone(port, &bytes, &length);
  if (lone == LONE_NOTHING) return true;
  if (lone == LONE_PACKET && (incoming ? carry_in(flows, bytes, length, words) : carry_out(flows, port, bytes, length))) {
    port->misses = 0;
    pio_port_forget_waiting(port);
    return true;
  }
  port->misses++;
  return false;
}

void pio_flows_leave_port(const struct pio_port *port) {
  struct pio_flows *flows = port->env->flows;
  if (flows == NULL || flows->live[PORT_UDP] + flows->live[PORT_TUN] == 0) return;
  for (uint32_t i = 0; i < FLOWS; i++) {
    if (flows->receive[i].link == port || flows->receive[i].device == port) end(flows, &flows->receive[i]);
    if (flows->send[i].link == port || flows->send[i].device == port) end(flows, &flows->send[i]);
  }
}

void pio_flows_leave_key(struct pio_env *env, const struct pio_key *key) {
  struct pio_flows *flows = env->flows;
  if (flows == NULL || flows->live[PORT_UDP] + flows->live[PORT_TUN] == 0) return;
  for (uint32_t i = 0; i < FLOWS; i++) {
    if (flows->receive[i].key == key) end(flows, &flows->receive[i]);
    if (flows->send[i].key == key) end(flows, &flows->send[i]);
  }
}

void pio_flows_free(struct pio_env *env) {
  struct pio_flows *flows = env->flows;
  if (flows == NULL) return;
  for (int i = 0; i < 2; i++) {
    if (flows->arrays[i] != NULL) napi_delete_reference(env->napi, flows->arrays[i]);
  }
  free(flows);
  env->flows = NULL;
}

/* The open device that is read from, or the socket of that link; NULL when there is none, or more than one. */
static struct pio_port *find_port(struct pio_env *env, enum pio_port_kind kind, uint32_t link) {
  struct pio_port *found = NULL;
  for (uint32_t i = 0; i < env->ports.capacity; i++) {
    struct pio_port *port = env->ports.items[i];
    if (port == NULL || port->kind != kind || !port->reading || port->callback == NULL) continue;
    if (kind == PORT_UDP && !pio_is_mine(port, link)) continue;
    if (found != NULL) return NULL;
    found = port;
  }
  return found;
}

/* flowSetUp(log, changes): a Float64Array and a Uint32Array in shared memory. What was set up before is forgotten, with its flows. */
static napi_value flow_set_up(napi_env napi, napi_callback_info info) {
  struct pio_env *env;
  napi_value arguments[2];
  size_t lengths[2];
  void *data[2];
  if (!pio_arguments(napi, info, 2, arguments, &env)) return NULL;
  if (!pio_pinned_array(napi, arguments[0], napi_float64_array, &data[0], &lengths[0]) ||
      !pio_pinned_array(napi, arguments[1], napi_uint32_array, &data[1], &lengths[1]) ||
      lengths[0] < 1 + LOG_PACKETS * LOG_WIDTH || lengths[1] < 1) {
    return pio_bug(napi, "not the arrays of flows, in shared memory");
  }
  pio_flows_free(env);
  struct pio_flows *flows = calloc(1, sizeof *flows);
  if (flows == NULL) return pio_bug(napi, "out of memory");
  env->flows = flows;
  for (int i = 0; i < 2; i++) {
    if (napi_create_reference(napi, arguments[i], 1, &flows->arrays[i]) != napi_ok) {
      pio_flows_free(env);
      return pio_bug(napi, "out of memory");
    }
  }
  flows->log = data[0];
  flows->changes = data[1];
  return NULL;
}

/* The arguments of both grants: vector, key, tag, idHigh, idLow, packets. The packet is in row 0. */
struct pio_grant {
  struct pio_env *env;
  struct pio_vector *vector;
  struct pio_flow flow;
};

static bool read_grant(napi_env napi, napi_callback_info info, struct pio_grant *grant) {
  napi_value arguments[6];
  uint32_t numbers[6];
  memset(grant, 0, sizeof *grant);
  if (!pio_arguments(napi, info, 6, arguments, &grant->env)) return false;
  for (int i = 0; i < 6; i++) {
    if (!pio_uint32(napi, arguments[i], &numbers[i])) return false;
  }
  if (grant->env->flows == NULL) {
    pio_bug(napi, "flows are not set up");
    return false;
  }
  grant->vector = pio_slots_at(&grant->env->vectors, numbers[0]);
  grant->flow.key = pio_slots_at(&grant->env->keys, numbers[1]);
  if (grant->vector == NULL || grant->flow.key == NULL) {
    pio_bug(napi, "no such vector or key");
    return false;
  }
  grant->flow.live = true;
  grant->flow.tag = numbers[2];
  grant->flow.id = (uint64_t)numbers[3] << 32 | numbers[4];
  grant->flow.packets = numbers[5];
  grant->flow.changes = *grant->env->flows->changes;
  memcpy(grant->flow.words, grant->vector->addresses, sizeof grant->flow.words);
  grant->flow.link = find_port(grant->env, PORT_UDP, grant->flow.words[ADDRESS_LINK]);
  grant->flow.device = find_port(grant->env, PORT_TUN, 0);
  return true;
}

/* Enters a flow, and the decision that it came of. Returns its place among the flows of both directions. */
static int32_t enter(struct pio_flows *flows, struct pio_flow *place, const struct pio_grant *grant, const struct pio_pair *pair,
                     uint32_t direction) {
  end(flows, place);
  *place = grant->flow;
  ++*live_of(flows, place);
  struct pio_pair *known = place_of(flows, pair, direction);
  *known = *pair;
  known->tag = place->tag;
  known->changes = place->changes;
  struct pio_port *port = direction == 0 ? place->link : place->device;
  if (port->quiet) port->misses = 0;
  return (int32_t)(direction == 0 ? place - flows->receive : FLOWS + (place - flows->send));
}

/* flowReceive(vector, key, tag, idHigh, idLow, packets): the place of the flow that takes packets like the opened one in row 0 from now on; -1: none does */
static napi_value flow_receive(napi_env napi, napi_callback_info info) {
  struct pio_grant grant;
  struct pio_pair pair;
  if (!read_grant(napi, info, &grant)) return NULL;
  const struct pio_vector *vector = grant.vector;
  const struct pio_key_shape shape = pio_key_shape(grant.flow.key);
  const uint32_t offset = pio_column(vector, COLUMN_OFFSET)[0], length = pio_column(vector, COLUMN_LENGTH)[0];
  const bool fits = grant.flow.link != NULL && grant.flow.device != NULL && !shape.seals && shape.head >= sizeof grant.flow.prefix &&
                    pio_in_slab(vector, offset, length, shape.head) && read_pair(vector->bytes + offset, length, &pair);
  if (!fits) return pio_int(napi, -1);
  memcpy(grant.flow.prefix, vector->bytes + offset - shape.head, sizeof grant.flow.prefix);
  return pio_int(napi, enter(grant.env->flows, receive_flow(grant.env->flows, grant.flow.prefix), &grant, &pair, 0));
}

/* flowNote(vector): keeps the addresses of the packet in row 0, which is to be sealed next. Returns whether a flow could take such packets. */
static napi_value flow_note(napi_env napi, napi_callback_info info) {
  struct pio_env *env;
  napi_value arguments[1], result;
  uint32_t index;
  if (!pio_arguments(napi, info, 1, arguments, &env) || !pio_uint32(napi, arguments[0], &index)) return NULL;
  const struct pio_vector *vector = pio_slots_at(&env->vectors, index);
  if (vector == NULL || env->flows == NULL) return pio_bug(napi, "no such vector, or flows are not set up");
  const uint32_t offset = pio_column(vector, COLUMN_OFFSET)[0], length = pio_column(vector, COLUMN_LENGTH)[0];
  const bool fits = pio_in_slab(vector, offset, length, 0) && read_pair(vector->bytes + offset, length, &env->flows->noted);
  if (!fits) env->flows->noted.version = 0;
  return napi_get_boolean(napi, fits, &result) == napi_ok ? result : NULL;
}

/* flowSend(vector, key, tag, idHigh, idLow, packets): the place of the flow by which packets between the addresses that were noted leave as row 0 does; -1: none */
static napi_value flow_send(napi_env napi, napi_callback_info info) {
  struct pio_grant grant;
  if (!read_grant(napi, info, &grant)) return NULL;
  struct pio_flows *flows = grant.env->flows;
  const bool fits =
      grant.flow.link != NULL && grant.flow.device != NULL && pio_key_shape(grant.flow.key).seals && flows->noted.version != 0;
  const int32_t place = fits ? enter(flows, send_flow(flows, grant.flow.tag), &grant, &flows->noted, 1) : -1;
  flows->noted.version = 0;
  return pio_int(napi, place);
}

/* flowRevoke(place, tag): ends the flow of that name, if it is still there. Returns how many packets it might yet have taken. */
static napi_value flow_revoke(napi_env napi, napi_callback_info info) {
  struct pio_env *env;
  napi_value arguments[2];
  uint32_t place, tag;
  if (!pio_arguments(napi, info, 2, arguments, &env) || !pio_uint32(napi, arguments[0], &place) ||
      !pio_uint32(napi, arguments[1], &tag)) {
    return NULL;
  }
  struct pio_flows *flows = env->flows;
  if (flows == NULL || place >= 2 * FLOWS) return pio_int(napi, 0);
  struct pio_flow *flow = place < FLOWS ? &flows->receive[place] : &flows->send[place - FLOWS];
  if (!flow->live || flow->tag != tag) return pio_int(napi, 0);
  end(flows, flow);
  return pio_int(napi, (int32_t)flow->packets);
}

const pio_function pio_flow_functions[] = {{"flowSetUp", flow_set_up}, {"flowReceive", flow_receive},
                                           {"flowNote", flow_note},    {"flowSend", flow_send},
                                           {"flowRevoke", flow_revoke}, {NULL, NULL}};
