/* Registered packet vectors. */
#include <stdlib.h>
#include <string.h>

#include "packet_io.h"

bool pio_pinned_array(napi_env napi, napi_value value, napi_typedarray_type wanted, void **data, size_t *length) {
  napi_typedarray_type type;
  napi_value buffer;
  bool is_typedarray = false, transferable = true;
  return napi_is_typedarray(napi, value, &is_typedarray) == napi_ok && is_typedarray &&
         napi_get_typedarray_info(napi, value, &type, length, data, &buffer, NULL) == napi_ok && type == wanted &&
         napi_is_arraybuffer(napi, buffer, &transferable) == napi_ok && !transferable && *data != NULL;
}

/* Looks the arrays up; false when one is not pinned, or smaller than the vector's shape asks for. */
static bool take_arrays(napi_env napi, struct pio_vector *vector, const napi_value *arrays) {
  void *data[3];
  size_t lengths[3];
  if (!pio_pinned_array(napi, arrays[0], napi_uint8_array, &data[0], &lengths[0]) ||
      !pio_pinned_array(napi, arrays[1], napi_uint32_array, &data[1], &lengths[1]) ||
      !pio_pinned_array(napi, arrays[2], napi_uint32_array, &data[2], &lengths[2]) ||
      lengths[0] / vector->stride < vector->capacity || lengths[1] / COLUMNS < vector->capacity ||
      lengths[2] / ADDRESS_WORDS < vector->capacity) {
    return false;
  }
  vector->bytes = data[0];
  vector->bytes_length = lengths[0];
  vector->table = data[1];
  vector->addresses = data[2];
  return true;
}

struct pio_vector *pio_vector_take(struct pio_env *env, napi_value index, napi_value count, uint32_t *rows) {
  uint32_t number;
  if (!pio_uint32(env->napi, index, &number) || !pio_uint32(env->napi, count, rows)) return NULL;
  struct pio_vector *vector = pio_slots_at(&env->vectors, number);
  if (vector == NULL || *rows > vector->capacity) {
    pio_bug(env->napi, "no such packet vector, or not as it was registered");
    return NULL;
  }
  return vector;
}

void pio_row_init(const struct pio_vector *vector, uint32_t row, uint32_t length, enum pio_fate fate) {
  uint32_t *table = vector->table + row;
  size_t capacity = vector->capacity;
  table[COLUMN_OFFSET * capacity] = row * vector->stride + vector->headroom;
  table[COLUMN_LENGTH * capacity] = length;
  table[COLUMN_SLOT * capacity] = PIO_NOTHING;
  table[COLUMN_FATE * capacity] = fate;
  table[COLUMN_KEY * capacity] = PIO_NOTHING;
  table[COLUMN_PACKET_ID_HIGH * capacity] = 0;
  table[COLUMN_PACKET_ID_LOW * capacity] = 0;
  table[COLUMN_SEGMENTS * capacity] = 1;
  table[COLUMN_SEGMENT_BYTES * capacity] = 0;
  table[COLUMN_TRAFFIC_CLASS * capacity] = 0;
}

size_t pio_arena_top(const struct pio_vector *vector, uint32_t rows) {
  const uint32_t *fates = pio_column(vector, COLUMN_FATE);
  const uint32_t *offsets = pio_column(vector, COLUMN_OFFSET);
  const uint32_t *lengths = pio_column(vector, COLUMN_LENGTH);
  size_t top = pio_arena_start(vector);
  for (uint32_t row = 0; row < rows; row++) {
    if (fates[row] == FATE_DROPPED) continue;
    /* A row that lies nowhere ends the arena: nothing is put there. */
    const size_t end = (size_t)offsets[row] + lengths[row];
    if (end > top) top = end;
  }
  return top > vector->bytes_length ? vector->bytes_length : top;
}

void pio_vector_free(struct pio_env *env, struct pio_vector *vector) {
  for (int i = 0; i < 3; i++) {
    if (vector->arrays[i] != NULL) napi_delete_reference(env->napi, vector->arrays[i]);
  }
  pio_receive_slots_free(vector->receive);
  pio_coalescing_free(vector->coalescing);
  free(vector);
}

/* registerVector(bytes, table, addresses, capacity, headroom, packetBytes, strideBytes): index */
static napi_value register_vector(napi_env napi, napi_callback_info info) {
  struct pio_env *env;
  napi_value arguments[7];
  if (!pio_arguments(napi, info, 7, arguments, &env)) return NULL;
  struct pio_vector *vector = calloc(1, sizeof *vector);
  if (vector == NULL) return pio_bug(napi, "out of memory");
  if (!pio_uint32(napi, arguments[3], &vector->capacity) || !pio_uint32(napi, arguments[4], &vector->headroom) ||
      !pio_uint32(napi, arguments[5], &vector->packet_bytes) || !pio_uint32(napi, arguments[6], &vector->stride)) {
    free(vector);
    return NULL;
  }
  bool right = vector->capacity > 0 && vector->stride > 0 &&
               (uint64_t)vector->headroom + vector->packet_bytes <= vector->stride &&
               /* Offsets are 32 bits wide. */
               (uint64_t)vector->capacity * vector->stride <= UINT32_MAX;
  for (int i = 0; right && i < 3; i++) {
    right = napi_create_reference(napi, arguments[i], 1, &vector->arrays[i]) == napi_ok;
  }
  if (!right || !take_arrays(napi, vector, arguments)) {
    pio_vector_free(env, vector);
    return pio_bug(napi, "not the arrays of a packet vector, in shared memory");
  }
  uint32_t index = pio_slots_add(&env->vectors, vector);
  if (index == PIO_NOTHING) {
    pio_vector_free(env, vector);
    return pio_bug(napi, "out of memory");
  }
  return pio_int(napi, (int32_t)index);
}

/* forgetVector(index) */
static napi_value forget_vector(napi_env napi, napi_callback_info info) {
  struct pio_env *env;
  napi_value arguments[1];
  uint32_t index;
  if (!pio_arguments(napi, info, 1, arguments, &env) || !pio_uint32(napi, arguments[0], &index)) return NULL;
  struct pio_vector *vector = pio_slots_at(&env->vectors, index);
  if (vector != NULL) {
    env->vectors.items[index] = NULL;
    pio_vector_free(env, vector);
  }
  return NULL;
}

const pio_function pio_vector_functions[] = {
    {"registerVector", register_vector}, {"forgetVector", forget_vector}, {NULL, NULL}};
