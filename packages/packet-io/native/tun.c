/* The tun device of Linux. */
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "packet_io.h"

/* tunOpen(path): port, or -errno */
static napi_value tun_open(napi_env napi, napi_callback_info info) {
  struct pio_env *env;
  napi_value arguments[1];
  char path[4096];
  if (!pio_arguments(napi, info, 1, arguments, &env) || !pio_string(napi, arguments[0], path, sizeof path)) return NULL;
  int fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) return pio_int(napi, -errno);
  struct pio_port *port = pio_port_open(env, PORT_TUN, fd);
  return pio_int(napi, port == NULL ? -errno : (int32_t)port->index);
}

/* tunAttach(port, name): the interface's name, or -errno. An empty name lets the kernel take the next free tunN. */
static napi_value tun_attach(napi_env napi, napi_callback_info info) {
  struct pio_env *env;
  napi_value arguments[2], result;
  struct ifreq request;
  memset(&request, 0, sizeof request);
  if (!pio_arguments(napi, info, 2, arguments, &env)) return NULL;
  struct pio_port *port = pio_port_take(env, arguments[0], PORT_TUN);
  if (port == NULL || !pio_string(napi, arguments[1], request.ifr_name, IFNAMSIZ)) return NULL;
  request.ifr_flags = IFF_TUN | IFF_NO_PI;
  if (ioctl(port->fd, TUNSETIFF, &request) < 0) return pio_int(napi, -errno);
  if (napi_create_string_utf8(napi, request.ifr_name, strnlen(request.ifr_name, IFNAMSIZ), &result) != napi_ok) return NULL;
  return result;
}

/* tunPersist(port, whether): 0 or -errno */
static napi_value tun_persist(napi_env napi, napi_callback_info info) {
  struct pio_env *env;
  napi_value arguments[2];
  bool persist;
  if (!pio_arguments(napi, info, 2, arguments, &env)) return NULL;
  struct pio_port *port = pio_port_take(env, arguments[0], PORT_TUN);
  if (port == NULL || !pio_bool(napi, arguments[1], &persist)) return NULL;
  return pio_int(napi, ioctl(port->fd, TUNSETPERSIST, (unsigned long)persist) < 0 ? -errno : 0);
}

/* tunRead(port, vector, count): rows added, or -errno when the device is gone */
static napi_value tun_read(napi_env napi, napi_callback_info info) {
  struct pio_env *env;
  napi_value arguments[3];
  uint32_t count;
  if (!pio_arguments(napi, info, 3, arguments, &env)) return NULL;
  struct pio_port *port = pio_port_take(env, arguments[0], PORT_TUN);
  if (port == NULL) return NULL;
  struct pio_vector *vector = pio_vector_take(env, arguments[1], arguments[2], &count);
  if (vector == NULL) return NULL;
  uint32_t row = count;
  /* The device cuts a packet that is too large for the buffer: one byte more shows it, where there is tailroom for it. */
  const size_t space = vector->stride - vector->headroom;
  const size_t wanted = space > vector->packet_bytes ? (size_t)vector->packet_bytes + 1 : vector->packet_bytes;
  while (row < vector->capacity) {
    ssize_t length = read(port->fd, vector->bytes + (size_t)row * vector->stride + vector->headroom, wanted);
    if (length < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN) break;
      port->counters[COUNTER_RECEIVE_ERRORS]++;
      if (row == count) return pio_int(napi, -errno);
      break;
    }
    if (length == 0 || (size_t)length > vector->packet_bytes) {
      port->counters[COUNTER_RECEIVE_DROPPED]++;
      continue;
    }
    pio_row_init(vector, row, (uint32_t)length, FATE_INNER);
    row++;
  }
  return pio_int(napi, (int32_t)(row - count));
}

/* tunWrite(port, vector, count) */
static napi_value tun_write(napi_env napi, napi_callback_info info) {
  struct pio_env *env;
  napi_value arguments[3];
  uint32_t rows;
  if (!pio_arguments(napi, info, 3, arguments, &env)) return NULL;
  struct pio_port *port = pio_port_take(env, arguments[0], PORT_TUN);
  if (port == NULL) return NULL;
  struct pio_vector *vector = pio_vector_take(env, arguments[1], arguments[2], &rows);
  if (vector == NULL) return NULL;
  uint32_t *fates = pio_column(vector, COLUMN_FATE);
  const uint32_t *offsets = pio_column(vector, COLUMN_OFFSET);
  const uint32_t *lengths = pio_column(vector, COLUMN_LENGTH);
  for (uint32_t row = 0; row < rows; row++) {
    if (fates[row] != FATE_TO_DEVICE) continue;
    fates[row] = FATE_DROPPED;
    const uint32_t offset = offsets[row], length = lengths[row];
    ssize_t written = -1;
    if (pio_in_slab(vector, offset, length, 0)) {
      do {
        written = write(port->fd, vector->bytes + offset, length);
      } while (written < 0 && errno == EINTR);
    }
    if (written < 0) port->counters[COUNTER_SEND_ERRORS]++;
  }
  return NULL;
}

const pio_function pio_tun_functions[] = {{"tunOpen", tun_open},       {"tunAttach", tun_attach},
                                          {"tunPersist", tun_persist}, {"tunRead", tun_read},
                                          {"tunWrite", tun_write},     {NULL, NULL}};
