/*
 * State and helpers that the parts of the addon share.
 *
 * JavaScript hands in small integers only: indices of registered vectors, keys and ports, and row counts. Everything
 * that comes from there, and every word of a descriptor table, is checked against what is really allocated before it
 * is used.
 */
#ifndef PACKET_IO_H
#define PACKET_IO_H

#include <node_api.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "node_symbols.h"

/* Columns of a descriptor table: VECTOR_COLUMNS of @openvpnd/memory, which is compared with this when the addon loads. */
#define PIO_COLUMN_NAMES "offset,length,slot,fate,key,packetIdHigh,packetIdLow,segments,segmentBytes,trafficClass"
enum pio_column {
  COLUMN_OFFSET,
  COLUMN_LENGTH,
  COLUMN_SLOT,
  COLUMN_FATE,
  COLUMN_KEY,
  COLUMN_PACKET_ID_HIGH,
  COLUMN_PACKET_ID_LOW,
  COLUMN_SEGMENTS,
  COLUMN_SEGMENT_BYTES,
  COLUMN_TRAFFIC_CLASS,
  COLUMNS
};

/* fate.ts of @openvpnd/memory. */
enum pio_fate {
  FATE_DROPPED,
  FATE_RAW,
  FATE_PUNT,
  FATE_OPEN,
  FATE_INNER,
  FATE_SEAL,
  FATE_TO_LINK,
  FATE_TO_DEVICE,
  FATE_CONSUMED
};

/* link-address.ts of @openvpnd/memory. */
enum pio_address_word {
  ADDRESS_FAMILY,
  ADDRESS_PORT,
  ADDRESS_HOST,
  ADDRESS_SCOPE = 6,
  ADDRESS_LINK = 7,
  ADDRESS_WORDS = 8
};

#define PIO_NOTHING 0xffffffffu /* NO_SLOT, NO_KEY */

/* A table of pointers with reusable indices. */
struct pio_slots {
  void **items;
  uint32_t capacity;
};

struct pio_receive_slots; /* udp-receive.c */
struct pio_coalescing;    /* coalesce.c */
struct pio_flows;         /* flow.c */
struct pio_key;           /* aead.c */

/*
 * A packet vector of JavaScript. Behind its rows the slab may go on: the arena, where packets lie that several rows
 * share, or that are larger than a row. The arrays are in shared memory, which cannot be taken away, and the references keep them alive.
 */
struct pio_vector {
  napi_ref arrays[3];
  uint8_t *bytes;
  size_t bytes_length;
  uint32_t *table;
  uint32_t *addresses;
  uint32_t capacity;
  uint32_t headroom;
  uint32_t packet_bytes;
  uint32_t stride;
  struct pio_receive_slots *receive;
  struct pio_coalescing *coalescing;
};

enum pio_port_kind { PORT_TUN, PORT_UDP };

enum pio_counter {
  COUNTER_RECEIVE_ERRORS,   /* errors that the kernel reported on receipt and that were swallowed */
  COUNTER_RECEIVE_DROPPED,  /* packets that were empty, too large for a row, or from no known family */
  COUNTER_SEND_ERRORS,      /* packets that the kernel refused for good */
  COUNTER_SEND_FULL,        /* single packets that were dropped because the socket was full */
  COUNTER_FULL,             /* times the socket was full and the rest of a vector had to wait */
  COUNTERS
};

/* A descriptor under libuv's watch. */
struct pio_port {
  struct pio_env *env;
  struct uv_handle_s *poll;
  napi_ref callback;
  napi_async_context async;
  enum pio_port_kind kind;
  uint32_t index;
  int fd;
  int watching; /* the events that libuv watches now */
  bool reading; /* JavaScript wants to hear of readable */
  bool writing; /* a send was refused and JavaScript is owed a `writable` */
  bool closed;
  /* UDP */
  int family;
  bool v6only;
  bool segments; /* UDP_SEGMENT on sending */
  bool gathers;  /* UDP_GRO on receipt */
  uint32_t link;
  uint32_t links;              /* from that one on: one, or one for each local address */
  struct pio_locals *locals;   /* multihome.c; NULL: local addresses are not told apart */
  struct pio_waiting *waiting; /* udp-receive.c: what was received and found no row, or was looked at for a flow */
  /* Tun: whether a struct virtio_net_hdr stands before each packet, and whether it may describe UDP segments. */
  bool vnet;
  bool vnet_udp;
  struct pio_stash *stash; /* tun.c: a packet that was looked at for a flow */
  /* flow.c: packets in a row that were not for a flow; when the port was heard last, in ms, and whether that was a while after the time before. */
  uint32_t misses;
  double heard;
  bool quiet;
  double counters[COUNTERS];
};

/* What one JavaScript environment (the main thread, a worker) holds. */
struct pio_env {
  napi_env napi;
  struct uv_loop_s *loop;
  struct pio_slots vectors;
  struct pio_slots keys;
  struct pio_slots ports;
  struct pio_flows *flows; /* NULL until they are set up */
};

/* Puts an item into a free slot; PIO_NOTHING when memory ran out. */
uint32_t pio_slots_add(struct pio_slots *slots, void *item);

static inline void *pio_slots_at(const struct pio_slots *slots, uint32_t index) {
  return index < slots->capacity ? slots->items[index] : NULL;
}

/* Reads `wanted` arguments. False with a pending TypeError when there are fewer. */
bool pio_arguments(napi_env napi, napi_callback_info info, size_t wanted, napi_value *arguments, struct pio_env **env);
bool pio_uint32(napi_env napi, napi_value value, uint32_t *result);
bool pio_bool(napi_env napi, napi_value value, bool *result);
bool pio_string(napi_env napi, napi_value value, char *result, size_t size);
/* A Uint8Array; borrowed for the call. */
bool pio_bytes(napi_env napi, napi_value value, uint8_t **bytes, size_t *length);
/*
 * A typed array in memory that is shared, and so neither transferred nor resized behind our back: a pointer to it stays good as long as the array lives. False,
 * without an error, for others.
 */
bool pio_pinned_array(napi_env napi, napi_value value, napi_typedarray_type wanted, void **data, size_t *length);
napi_value pio_int(napi_env napi, int32_t value);
napi_value pio_bug(napi_env napi, const char *message);
napi_value pio_out_of_range(napi_env napi, const char *message);

/* The vector with that index. NULL with a pending error when it is not registered, or has fewer than `count` rows. */
struct pio_vector *pio_vector_take(struct pio_env *env, napi_value index, napi_value count, uint32_t *rows);

static inline uint32_t *pio_column(const struct pio_vector *vector, enum pio_column column) {
  return vector->table + (size_t)column * vector->capacity;
}

/* Whether a packet of `length` bytes at `offset` lies in the slab with `before` bytes in front of it. */
static inline bool pio_in_slab(const struct pio_vector *vector, uint32_t offset, uint32_t length, uint32_t before) {
  return offset >= before && offset <= vector->bytes_length && length <= vector->bytes_length - offset;
}

/* Sets the columns of a fresh row as PacketVector.append() does. */
void pio_row_init(const struct pio_vector *vector, uint32_t row, uint32_t length, enum pio_fate fate);

/* Where the arena starts, and where what lies in it ends: behind the last of the live rows that reach into it. */
static inline size_t pio_arena_start(const struct pio_vector *vector) {
  return (size_t)vector->capacity * vector->stride;
}
size_t pio_arena_top(const struct pio_vector *vector, uint32_t rows);

void pio_vector_free(struct pio_env *env, struct pio_vector *vector);
void pio_receive_slots_free(struct pio_receive_slots *slots);
void pio_coalescing_free(struct pio_coalescing *coalescing);
void pio_key_free(void *key);

/* Takes ownership of `fd`, also when it fails (NULL). */
struct pio_port *pio_port_open(struct pio_env *env, enum pio_port_kind kind, int fd);
void pio_port_close(struct pio_port *port);
/* Whether something that was received waits in the process, where libuv does not see it. */
bool pio_port_waits(const struct pio_port *port);
/* It was taken care of. */
void pio_port_forget_waiting(struct pio_port *port);
bool pio_udp_waits(const struct pio_port *port);
bool pio_tun_waits(const struct pio_port *port);
void pio_udp_forget_waiting(struct pio_port *port);
void pio_tun_forget_waiting(struct pio_port *port);
void pio_udp_free_waiting(struct pio_port *port);
void pio_tun_free_waiting(struct pio_port *port);
void pio_locals_free(struct pio_port *port);
/* Brings what libuv watches in line with `reading` and `writing`. */
void pio_port_update(struct pio_port *port);
/* The open port of that kind, or NULL with a pending error. */
struct pio_port *pio_port_take(struct pio_env *env, napi_value index, enum pio_port_kind kind);

/* What came when one packet was asked for. What is `LONE_OTHER` may wait in the port, and does so when it is `LONE_PACKET`. */
enum pio_lone { LONE_NOTHING, LONE_PACKET, LONE_OTHER };

/* One packet at a time under a key, for flow.c. Lengths: of what stands before the ciphertext and behind it. */
struct pio_key_shape {
  bool seals;
  bool epoch;
  uint32_t head;
  uint32_t tail;
};
struct pio_key_shape pio_key_shape(const struct pio_key *key);
/* The id of a packet that is longer than head and tail. */
uint64_t pio_key_id(const struct pio_key *key, const uint8_t *start);
/* In place. False: the tag is wrong, and the bytes are worth nothing. */
bool pio_key_open(struct pio_key *key, uint8_t *start, uint32_t length);
/* From `packet` to `start`, which do not overlap. */
bool pio_key_seal(struct pio_key *key, const uint8_t *packet, uint32_t length, uint64_t id, uint8_t *start);

typedef struct {
  const char *name;
  napi_callback callback;
} pio_function;

extern const pio_function pio_vector_functions[];
extern const pio_function pio_aead_functions[];
extern const pio_function pio_port_functions[];
extern const pio_function pio_tun_functions[];
extern const pio_function pio_udp_functions[];
extern const pio_function pio_socket_functions[];
extern const pio_function pio_multihome_functions[];
extern const pio_function pio_privilege_functions[];
extern const pio_function pio_udp_receive_functions[];
extern const pio_function pio_udp_send_functions[];
extern const pio_function pio_flow_functions[];

#endif
