/* Internet sockets by their descriptors: for what Node's own sockets cannot be told, and for those that somebody hands over. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "packet_io.h"

union address {
  struct sockaddr any;
  struct sockaddr_in v4;
  struct sockaddr_in6 v6;
};

static bool take_fd(napi_env napi, napi_value value, int *fd) {
  uint32_t number;
  if (!pio_uint32(napi, value, &number)) return false;
  if (number > INT32_MAX) {
    pio_bug(napi, "not a descriptor");
    return false;
  }
  *fd = (int)number;
  return true;
}

static int set_int(int fd, int level, int name, int value) {
  return setsockopt(fd, level, name, &value, sizeof value) < 0 ? -errno : 0;
}

/* socketOpen(stream, family (4, 6), v6only): a nonblocking descriptor, or -errno */
static napi_value socket_open(napi_env napi, napi_callback_info info) {
  struct pio_env *env;
  napi_value arguments[3];
  bool stream, v6only;
  uint32_t family;
  if (!pio_arguments(napi, info, 3, arguments, &env) || !pio_bool(napi, arguments[0], &stream) ||
      !pio_uint32(napi, arguments[1], &family) || !pio_bool(napi, arguments[2], &v6only)) {
    return NULL;
  }
  if (family != 4 && family != 6) return pio_bug(napi, "a family is 4 or 6");
  const int type = (stream ? SOCK_STREAM : SOCK_DGRAM) | SOCK_NONBLOCK | SOCK_CLOEXEC;
  int fd = socket(family == 4 ? AF_INET : AF_INET6, type, 0);
  if (fd < 0) return pio_int(napi, -errno);
  int result = family == 6 ? set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, v6only) : 0;
  /* As libuv does: connections of a former process in TIME_WAIT are no hindrance. */
  if (result == 0 && stream) result = set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1);
  if (result < 0) {
    close(fd);
    return pio_int(napi, result);
  }
  return pio_int(napi, fd);
}

/* socketBind(fd, address, portNumber, scope): 0 or -errno. The address is a number of the socket's family. */
static napi_value socket_bind(napi_env napi, napi_callback_info info) {
  struct pio_env *env;
  napi_value arguments[4];
  char text[INET6_ADDRSTRLEN];
  uint32_t number, scope;
  int fd;
  if (!pio_arguments(napi, info, 4, arguments, &env) || !take_fd(napi, arguments[0], &fd) ||
      !pio_string(napi, arguments[1], text, sizeof text) || !pio_uint32(napi, arguments[2], &number) ||
      !pio_uint32(napi, arguments[3], &scope)) {
    return NULL;
  }
  if (number > 0xffff) return pio_bug(napi, "a port is at most 65535");
  union address address;
  socklen_t length = sizeof address;
  memset(&address, 0, sizeof address);
  if (inet_pton(AF_INET, text, &address.v4.sin_addr) == 1) {
    address.v4.sin_family = AF_INET;
    address.v4.sin_port = htons((uint16_t)number);
    length = sizeof address.v4;
  } else if (inet_pton(AF_INET6, text, &address.v6.sin6_addr) == 1) {
    address.v6.sin6_family = AF_INET6;
    address.v6.sin6_port = htons((uint16_t)number);
    address.v6.sin6_scope_id = scope;
    length = sizeof address.v6;
  } else {
    return pio_int(napi, -EINVAL);
  }
  return pio_int(napi, bind(fd, &address.any, length) < 0 ? -errno : 0);
}

/* socketBuffer(fd, send?, bytes (0: only tell), force): the size in effect in bytes, as the kernel counts it, or -errno */
static napi_value socket_buffer(napi_env napi, napi_callback_info info) {
  struct pio_env *env;
  napi_value arguments[4];
  bool send, force;
  uint32_t bytes;
  int fd;
  if (!pio_arguments(napi, info, 4, arguments, &env) || !take_fd(napi, arguments[0], &fd) ||
      !pio_bool(napi, arguments[1], &send) || !pio_uint32(napi, arguments[2], &bytes) ||
      !pio_bool(napi, arguments[3], &force)) {
    return NULL;
  }
  int size = bytes > INT32_MAX ? INT32_MAX : (int)bytes;
  /* Above net.core.{r,w}mem_max only a privileged process may go; the others get what there is. */
  int result = bytes == 0 ? 0 : -1;
  if (result < 0 && force) result = setsockopt(fd, SOL_SOCKET, send ? SO_SNDBUFFORCE : SO_RCVBUFFORCE, &size, sizeof size);
  if (result < 0) result = setsockopt(fd, SOL_SOCKET, send ? SO_SNDBUF : SO_RCVBUF, &size, sizeof size);
  socklen_t length = sizeof size;
  if (result < 0 || getsockopt(fd, SOL_SOCKET, send ? SO_SNDBUF : SO_RCVBUF, &size, &length) < 0) {
    return pio_int(napi, -errno);
  }
  return pio_int(napi, size);
}

/* socketMark(fd, mark): 0 or -errno */
static napi_value socket_mark(napi_env napi, napi_callback_info info) {
  struct pio_env *env;
  napi_value arguments[2];
  uint32_t mark;
  int fd;
  if (!pio_arguments(napi, info, 2, arguments, &env) || !take_fd(napi, arguments[0], &fd) ||
      !pio_uint32(napi, arguments[1], &mark)) {
    return NULL;
  }
  return pio_int(napi, setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof mark) < 0 ? -errno : 0);
}

/* socketDevice(fd, name): 0 or -errno */
static napi_value socket_device(napi_env napi, napi_callback_info info) {
  struct pio_env *env;
  napi_value arguments[2];
  char name[IFNAMSIZ];
  int fd;
  if (!pio_arguments(napi, info, 2, arguments, &env) || !take_fd(napi, arguments[0], &fd) ||
      !pio_string(napi, arguments[1], name, sizeof name)) {
    return NULL;
  }
  return pio_int(napi, setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name, (socklen_t)strlen(name) + 1) < 0 ? -errno : 0);
}

/* socketMtuDiscovery(fd, mode (0 no, 1 maybe, 2 yes)): for both families of a socket that has both; 0 or -errno */
static napi_value socket_mtu_discovery(napi_env napi, napi_callback_info info) {
  static const int modes4[] = {IP_PMTUDISC_DONT, IP_PMTUDISC_WANT, IP_PMTUDISC_DO};
  static const int modes6[] = {IPV6_PMTUDISC_DONT, IPV6_PMTUDISC_WANT, IPV6_PMTUDISC_DO};
  struct pio_env *env;
  napi_value arguments[2];
  uint32_t mode;
  int fd, domain = AF_INET;
  socklen_t length = sizeof domain;
  if (!pio_arguments(napi, info, 2, arguments, &env) || !take_fd(napi, arguments[0], &fd) ||
      !pio_uint32(napi, arguments[1], &mode)) {
    return NULL;
  }
  if (mode > 2) return pio_bug(napi, "a mode is 0, 1 or 2");
  if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &length) < 0) return pio_int(napi, -errno);
  int result = domain == AF_INET6 ? set_int(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, modes6[mode]) : 0;
  if (result == 0) result = set_int(fd, IPPROTO_IP, IP_MTU_DISCOVER, modes4[mode]);
  return pio_int(napi, result);
}

/*
 * socketDescribe(fd): `dgram 4 192.0.2.1 1194 0 1`: type, family, address, port, scope, and whether it is ready for use (a stream
 * listens, a datagram socket is bound), or -errno
 */
static napi_value socket_describe(napi_env napi, napi_callback_info info) {
  struct pio_env *env;
  napi_value arguments[1], result;
  int fd, type = 0, listens = 0;
  socklen_t length = sizeof type;
  if (!pio_arguments(napi, info, 1, arguments, &env) || !take_fd(napi, arguments[0], &fd)) return NULL;
  if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) < 0) return pio_int(napi, -errno);
  length = sizeof listens;
  if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &length) < 0) return pio_int(napi, -errno);
  union address address;
  length = sizeof address;
  memset(&address, 0, sizeof address);
  if (getsockname(fd, &address.any, &length) < 0) return pio_int(napi, -errno);
  if (type != SOCK_STREAM && type != SOCK_DGRAM) return pio_int(napi, -EPROTOTYPE);
  char host[INET6_ADDRSTRLEN], text[INET6_ADDRSTRLEN + 48];
  const bool v6 = address.any.sa_family == AF_INET6;
  if (!v6 && address.any.sa_family != AF_INET) return pio_int(napi, -EAFNOSUPPORT);
  const void *bytes = v6 ? (const void *)&address.v6.sin6_addr : (const void *)&address.v4.sin_addr;
  if (inet_ntop(address.any.sa_family, bytes, host, sizeof host) == NULL) return pio_int(napi, -errno);
  const unsigned port = ntohs(v6 ? address.v6.sin6_port : address.v4.sin_port);
  const int ready = type == SOCK_STREAM ? listens : port != 0;
  snprintf(text, sizeof text, "%s %d %s %u %u %d", type == SOCK_STREAM ? "stream" : "dgram", v6 ? 6 : 4, host, port,
           v6 ? address.v6.sin6_scope_id : 0, ready);
  return napi_create_string_latin1(napi, text, NAPI_AUTO_LENGTH, &result) == napi_ok ? result : NULL;
}

/* socketDuplicate(fd): another nonblocking descriptor of the same socket, closed on exec, or -errno */
static napi_value socket_duplicate(napi_env napi, napi_callback_info info) {
  struct pio_env *env;
  napi_value arguments[1];
  int fd;
  if (!pio_arguments(napi, info, 1, arguments, &env) || !take_fd(napi, arguments[0], &fd)) return NULL;
  int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
  if (copy < 0) return pio_int(napi, -errno);
  int flags = fcntl(copy, F_GETFL);
  if (flags < 0 || fcntl(copy, F_SETFL, flags | O_NONBLOCK) < 0) {
    int error = errno;
    close(copy);
    return pio_int(napi, -error);
  }
  return pio_int(napi, copy);
}

/* socketInherit(fd, whether): whether programs that are started get it; 0 or -errno */
static napi_value socket_inherit(napi_env napi, napi_callback_info info) {
  struct pio_env *env;
  napi_value arguments[2];
  bool inherit;
  int fd;
  if (!pio_arguments(napi, info, 2, arguments, &env) || !take_fd(napi, arguments[0], &fd) ||
      !pio_bool(napi, arguments[1], &inherit)) {
    return NULL;
  }
  return pio_int(napi, fcntl(fd, F_SETFD, inherit ? 0 : FD_CLOEXEC) < 0 ? -errno : 0);
}

/* udpAdopt(fd, link): port, or -errno; the port owns the descriptor, also when it fails */
static napi_value udp_adopt(napi_env napi, napi_callback_info info) {
  struct pio_env *env;
  napi_value arguments[2];
  uint32_t link;
  int fd, domain = AF_INET, only = 0;
  socklen_t length = sizeof domain;
  if (!pio_arguments(napi, info, 2, arguments, &env) || !take_fd(napi, arguments[0], &fd) ||
      !pio_uint32(napi, arguments[1], &link)) {
    return NULL;
  }
  int result = getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &length) < 0 ? -errno : 0;
  length = sizeof only;
  if (result == 0 && domain == AF_INET6 && getsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, &length) < 0) result = -errno;
  if (result < 0) {
    close(fd);
    return pio_int(napi, result);
  }
  struct pio_port *port = pio_port_open(env, PORT_UDP, fd);
  if (port == NULL) return pio_int(napi, -errno);
  port->family = domain;
  port->v6only = only != 0;
  port->link = link;
  port->links = 1;
  return pio_int(napi, (int32_t)port->index);
}

/* socketClose(fd) */
static napi_value socket_close(napi_env napi, napi_callback_info info) {
  struct pio_env *env;
  napi_value arguments[1];
  int fd;
  if (!pio_arguments(napi, info, 1, arguments, &env) || !take_fd(napi, arguments[0], &fd)) return NULL;
  close(fd);
  return NULL;
}

const pio_function pio_socket_functions[] = {{"socketOpen", socket_open},
                                             {"socketBind", socket_bind},
                                             {"socketBuffer", socket_buffer},
                                             {"socketMark", socket_mark},
                                             {"socketDevice", socket_device},
                                             {"socketMtuDiscovery", socket_mtu_discovery},
                                             {"socketDescribe", socket_describe},
                                             {"socketDuplicate", socket_duplicate},
                                             {"socketInherit", socket_inherit},
                                             {"socketClose", socket_close},
                                             {"udpAdopt", udp_adopt},
                                             {NULL, NULL}};
