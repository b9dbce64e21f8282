/* Descriptors under libuv's watch. */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "flow.h"
#include "packet_io.h"

/* What the callback of a port is told: the constants of native-addon.ts. */
enum pio_event { EVENT_READABLE = 1, EVENT_WRITABLE = 2, EVENT_FAILED = 3 };

static void free_port(struct uv_handle_s *handle) {
  struct pio_port *port = uv_handle_get_data(handle);
  pio_udp_free_waiting(port);
  pio_tun_free_waiting(port);
  pio_locals_free(port);
  free(port);
  free(handle);
}

struct pio_port *pio_port_open(struct pio_env *env, enum pio_port_kind kind, int fd) {
  struct pio_port *port = calloc(1, sizeof *port);
  struct uv_handle_s *poll = calloc(1, uv_handle_size(UV_POLL_HANDLE_TYPE));
  uint32_t index = PIO_NOTHING;
  int error = ENOMEM;
  if (port != NULL && poll != NULL) index = pio_slots_add(&env->ports, port);
  // What cannot be waited for (a file, /dev/null) is refused here.
  if (index == PIO_NOTHING || (error = -uv_poll_init(env->loop, poll, fd)) != 0) {
    if (index != PIO_NOTHING) env->ports.items[index] = NULL;
    free(port);
    free(poll);
    close(fd);
    errno = error;
    return NULL;
  }
  uv_handle_set_data(poll, port);
  port->env = env;
  port->poll = poll;
  port->kind = kind;
  port->index = index;
  port->fd = fd;
  port->reading = true;
  return port;
}

void pio_port_close(struct pio_port *port) {
  if (port->closed) return;
  port->closed = true;
  pio_flows_leave_port(port);
  port->env->ports.items[port->index] = NULL;
  uv_poll_stop(port->poll);
  close(port->fd);
  if (port->callback != NULL) {
    napi_delete_reference(port->env->napi, port->callback);
    napi_async_destroy(port->env->napi, port->async);
    port->callback = NULL;
  }
  uv_close(port->poll, free_port);
}

struct pio_port *pio_port_take(struct pio_env *env, napi_value index, enum pio_port_kind kind) {
  uint32_t number;
  if (!pio_uint32(env->napi, index, &number)) return NULL;
  struct pio_port *port = pio_slots_at(&env->ports, number);
  if (port == NULL || port->kind != kind) {
    pio_bug(env->napi, "no such port");
    return NULL;
  }
  return port;
}

bool pio_port_waits(const struct pio_port *port) { return port->kind == PORT_UDP ? pio_udp_waits(port) : pio_tun_waits(port); }

void pio_port_forget_waiting(struct pio_port *port) {
  if (port->kind == PORT_UDP) pio_udp_forget_waiting(port);
  else pio_tun_forget_waiting(port);
}

static void tell(struct pio_port *port, enum pio_event event, int error) {
  napi_env napi = port->env->napi;
  napi_handle_scope scope;
  if (port->closed || port->callback == NULL || napi_open_handle_scope(napi, &scope) != napi_ok) return;
  napi_value callback, receiver, arguments[2], result;
  if (napi_get_reference_value(napi, port->callback, &callback) == napi_ok && callback != NULL &&
      napi_get_global(napi, &receiver) == napi_ok && napi_create_int32(napi, event, &arguments[0]) == napi_ok &&
      napi_create_int32(napi, error, &arguments[1]) == napi_ok &&
      napi_make_callback(napi, port->async, receiver, callback, 2, arguments, &result) == napi_pending_exception) {
    /* A throw in there is a bug above; it ends as any uncaught exception does. */
    napi_value thrown;
    if (napi_get_and_clear_last_exception(napi, &thrown) == napi_ok) napi_fatal_exception(napi, thrown);
  }
  napi_close_handle_scope(napi, scope);
}

static void on_poll(struct uv_handle_s *handle, int status, int events) {
  struct pio_port *port = uv_handle_get_data(handle);
  if (status < 0) {
    /* libuv has stopped watching. */
    port->watching = 0;
    if (port->kind == PORT_UDP) {
      /* An error that the network reported; a datagram socket goes on after it. */
      int error = 0;
      socklen_t length = sizeof error;
      if (getsockopt(port->fd, SOL_SOCKET, SO_ERROR, &error, &length) == 0) {
        port->counters[COUNTER_RECEIVE_ERRORS]++;
        pio_port_update(port);
        return;
      }
    }
    tell(port, EVENT_FAILED, port->kind == PORT_TUN ? ENODEV : -status);
    return;
  }
  /* What waits to be sent goes before what would add to it. The port may be closed by either call; it is freed later. */
  if ((events & UV_WRITABLE) != 0 && port->writing) {
    port->writing = false;
    pio_port_update(port);
    tell(port, EVENT_WRITABLE, 0);
  }
  if (port->closed || !port->reading) return;
  if (!pio_port_waits(port)) {
    if ((events & UV_READABLE) == 0 || (pio_flows_wanted(port) && pio_flow_turn(port))) return;
  }
  tell(port, EVENT_READABLE, 0);
  /* It may have had no time. */
  pio_port_update(port);
}

void pio_port_update(struct pio_port *port) {
  if (port->closed) return;
  int wanted = 0;
  if (port->callback != NULL) {
    if (port->reading) wanted |= UV_READABLE;
    /* What waits in the process must be told of like what waits in the socket, which can be written to nearly always. */
    if (port->writing || (port->reading && pio_port_waits(port))) wanted |= UV_WRITABLE;
  }
  if (wanted == port->watching) return;
  port->watching = wanted;
  if (wanted == 0) {
    uv_poll_stop(port->poll);
  } else {
    uv_poll_start(port->poll, wanted, on_poll);
  }
}

static struct pio_port *any_port(struct pio_env *env, napi_value index) {
  uint32_t number;
  if (!pio_uint32(env->napi, index, &number)) return NULL;
  struct pio_port *port = pio_slots_at(&env->ports, number);
  if (port == NULL) pio_bug(env->napi, "no such port");
  return port;
}

/* watchPort(port, callback(event, errno)) */
static napi_value watch_port(napi_env napi, napi_callback_info info) {
  struct pio_env *env;
  napi_value arguments[2], name;
  napi_valuetype type;
  if (!pio_arguments(napi, info, 2, arguments, &env)) return NULL;
  struct pio_port *port = any_port(env, arguments[0]);
  if (port == NULL) return NULL;
  if (port->callback != NULL) return pio_bug(napi, "this port has its callback");
  if (napi_typeof(napi, arguments[1], &type) != napi_ok || type != napi_function ||
      napi_create_string_utf8(napi, "packet-io", NAPI_AUTO_LENGTH, &name) != napi_ok ||
      napi_async_init(napi, NULL, name, &port->async) != napi_ok) {
    return pio_bug(napi, "not a function");
  }
  if (napi_create_reference(napi, arguments[1], 1, &port->callback) != napi_ok) {
    napi_async_destroy(napi, port->async);
    return pio_bug(napi, "not a function");
  }
  pio_port_update(port);
  return NULL;
}

/* setReading(port, whether) */
static napi_value set_reading(napi_env napi, napi_callback_info info) {
  struct pio_env *env;
  napi_value arguments[2];
  if (!pio_arguments(napi, info, 2, arguments, &env)) return NULL;
  struct pio_port *port = any_port(env, arguments[0]);
  if (port == NULL || !pio_bool(napi, arguments[1], &port->reading)) return NULL;
  if (!port->reading) pio_flows_leave_port(port);
  pio_port_update(port);
  return NULL;
}

/* closePort(port) */
static napi_value close_port(napi_env napi, napi_callback_info info) {
  struct pio_env *env;
  napi_value arguments[1];
  if (!pio_arguments(napi, info, 1, arguments, &env)) return NULL;
  struct pio_port *port = any_port(env, arguments[0]);
  if (port != NULL) pio_port_close(port);
  return NULL;
}

/* readCounters(port, Float64Array(COUNTERS)) */
static napi_value read_counters(napi_env napi, napi_callback_info info) {
  struct pio_env *env;
  napi_value arguments[2];
  napi_typedarray_type type;
  size_t length;
  double *counters;
  if (!pio_arguments(napi, info, 2, arguments, &env)) return NULL;
  struct pio_port *port = any_port(env, arguments[0]);
  if (port == NULL) return NULL;
  if (napi_get_typedarray_info(napi, arguments[1], &type, &length, (void **)&counters, NULL, NULL) != napi_ok ||
      type != napi_float64_array || length < COUNTERS) {
    return pio_bug(napi, "not a Float64Array of the right size");
  }
  for (int i = 0; i < COUNTERS; i++) counters[i] = port->counters[i];
  return NULL;
}

const pio_function pio_port_functions[] = {{"watchPort", watch_port},
                                           {"setReading", set_reading},
                                           {"closePort", close_port},
                                           {"readCounters", read_counters},
                                           {NULL, NULL}};
