/* Entry of the addon: the environment's state, argument checks, and the list of functions. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flow.h"
#include "packet_io.h"

uint32_t pio_slots_add(struct pio_slots *slots, void *item) {
  for (uint32_t i = 0; i < slots->capacity; i++) {
    if (slots->items[i] == NULL) {
      slots->items[i] = item;
      return i;
    }
  }
  uint32_t capacity = slots->capacity == 0 ? 16 : slots->capacity * 2;
  if (capacity > 1u << 24) return PIO_NOTHING;
  void **items = realloc(slots->items, capacity * sizeof *items);
  if (items == NULL) return PIO_NOTHING;
  memset(items + slots->capacity, 0, (capacity - slots->capacity) * sizeof *items);
  uint32_t index = slots->capacity;
  slots->items = items;
  slots->capacity = capacity;
  items[index] = item;
  return index;
}

napi_value pio_bug(napi_env napi, const char *message) {
  bool pending = false;
  napi_is_exception_pending(napi, &pending);
  if (!pending) napi_throw_type_error(napi, "ERR_PACKET_IO_ARGUMENT", message);
  return NULL;
}

napi_value pio_out_of_range(napi_env napi, const char *message) {
  napi_throw_range_error(napi, "ERR_PACKET_IO_ARGUMENT", message);
  return NULL;
}

bool pio_arguments(napi_env napi, napi_callback_info info, size_t wanted, napi_value *arguments, struct pio_env **env) {
  size_t count = wanted;
  if (napi_get_cb_info(napi, info, &count, arguments, NULL, (void **)env) != napi_ok || count < wanted) {
    pio_bug(napi, "too few arguments");
    return false;
  }
  return true;
}

bool pio_uint32(napi_env napi, napi_value value, uint32_t *result) {
  /* NaN and fractions become some integer, which its user checks like any other. */
  if (napi_get_value_uint32(napi, value, result) == napi_ok) return true;
  pio_bug(napi, "not a number");
  return false;
}

bool pio_bool(napi_env napi, napi_value value, bool *result) {
  if (napi_get_value_bool(napi, value, result) == napi_ok) return true;
  pio_bug(napi, "not a boolean");
  return false;
}

bool pio_string(napi_env napi, napi_value value, char *result, size_t size) {
  size_t length = 0;
  if (napi_get_value_string_utf8(napi, value, NULL, 0, &length) != napi_ok || length >= size) {
    pio_bug(napi, "not a string, or too long");
    return false;
  }
  napi_get_value_string_utf8(napi, value, result, size, &length);
  if (strlen(result) == length) return true;
  pio_bug(napi, "a string with a NUL");
  return false;
}

bool pio_bytes(napi_env napi, napi_value value, uint8_t **bytes, size_t *length) {
  napi_typedarray_type type;
  bool is_typedarray = false;
  void *data = NULL;
  if (napi_is_typedarray(napi, value, &is_typedarray) != napi_ok || !is_typedarray ||
      napi_get_typedarray_info(napi, value, &type, length, &data, NULL, NULL) != napi_ok || type != napi_uint8_array) {
    pio_bug(napi, "not a Uint8Array");
    return false;
  }
  *bytes = data;
  return true;
}

napi_value pio_int(napi_env napi, int32_t value) {
  napi_value result = NULL;
  napi_create_int32(napi, value, &result);
  return result;
}

/* errorText(errno): what the C library says of it, as OpenVPN prints it. */
static napi_value error_text(napi_env napi, napi_callback_info info) {
  struct pio_env *env;
  napi_value arguments[1], result;
  uint32_t number;
  if (!pio_arguments(napi, info, 1, arguments, &env) || !pio_uint32(napi, arguments[0], &number)) return NULL;
  if (napi_create_string_utf8(napi, strerror((int)number), NAPI_AUTO_LENGTH, &result) != napi_ok) return NULL;
  return result;
}

static const pio_function own_functions[] = {{"errorText", error_text}, {NULL, NULL}};

/* Before the environment goes: close descriptors, stop watching, wipe keys. */
static void env_cleanup(void *data) {
  struct pio_env *env = data;
  pio_flows_free(env);
  for (uint32_t i = 0; i < env->ports.capacity; i++) {
    if (env->ports.items[i] != NULL) pio_port_close(env->ports.items[i]);
  }
  for (uint32_t i = 0; i < env->keys.capacity; i++) {
    if (env->keys.items[i] != NULL) pio_key_free(env->keys.items[i]);
  }
  for (uint32_t i = 0; i < env->vectors.capacity; i++) {
    if (env->vectors.items[i] != NULL) pio_vector_free(env, env->vectors.items[i]);
  }
  free(env->ports.items);
  free(env->keys.items);
  free(env->vectors.items);
  free(env);
}

static bool export_functions(struct pio_env *env, napi_value exports, const pio_function *functions) {
  for (; functions->name != NULL; functions++) {
    napi_value function;
    if (napi_create_function(env->napi, functions->name, NAPI_AUTO_LENGTH, functions->callback, env, &function) != napi_ok ||
        napi_set_named_property(env->napi, exports, functions->name, function) != napi_ok) {
      return false;
    }
  }
  return true;
}

NAPI_MODULE_INIT() {
  struct pio_env *state = calloc(1, sizeof *state);
  if (state == NULL) return pio_bug(env, "out of memory");
  state->napi = env;
  napi_value columns;
  if (napi_add_env_cleanup_hook(env, env_cleanup, state) != napi_ok) {
    free(state);
    return pio_bug(env, "the addon could not be set up");
  }
  if (napi_get_uv_event_loop(env, &state->loop) != napi_ok || uv_poll_init == NULL || uv_handle_set_data == NULL ||
      napi_create_string_utf8(env, PIO_COLUMN_NAMES, NAPI_AUTO_LENGTH, &columns) != napi_ok ||
      napi_set_named_property(env, exports, "columns", columns) != napi_ok ||
      !export_functions(state, exports, own_functions) || !export_functions(state, exports, pio_vector_functions) ||
      !export_functions(state, exports, pio_aead_functions) || !export_functions(state, exports, pio_port_functions) ||
      !export_functions(state, exports, pio_tun_functions) || !export_functions(state, exports, pio_udp_functions) ||
      !export_functions(state, exports, pio_udp_receive_functions) ||
      !export_functions(state, exports, pio_udp_send_functions) ||
      !export_functions(state, exports, pio_socket_functions) || !export_functions(state, exports, pio_multihome_functions) ||
      !export_functions(state, exports, pio_privilege_functions) || !export_functions(state, exports, pio_flow_functions)) {
    return pio_bug(env, "the addon could not be set up: this node exports no libuv, or memory ran out");
  }
  return exports;
}
