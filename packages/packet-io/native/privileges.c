/*
 * What a daemon needs that gives up root and still moves routes: names to numbers, and CAP_NET_ADMIN kept on the main thread.
 * Capabilities belong to threads. Node's set*id reach all threads, through the C library; KEEPCAPS, set on this thread alone,
 * lets it alone keep what it had.
 */
#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "packet_io.h"

#define NAME_BYTES 256
#define ENTRY_BYTES 65536
#define NET_ADMIN_BIT (1u << CAP_NET_ADMIN) /* 12: in the first word */

/* findUser(name): its number, or -1 */
static napi_value find_user(napi_env napi, napi_callback_info info) {
  struct pio_env *env;
  napi_value arguments[1], result;
  char name[NAME_BYTES], entry[ENTRY_BYTES];
  struct passwd user, *found = NULL;
  if (!pio_arguments(napi, info, 1, arguments, &env) || !pio_string(napi, arguments[0], name, sizeof name)) return NULL;
  bool known = getpwnam_r(name, &user, entry, sizeof entry, &found) == 0 && found != NULL;
  return napi_create_double(napi, known ? (double)user.pw_uid : -1, &result) == napi_ok ? result : NULL;
}

/* findGroup(name): its number, or -1 */
static napi_value find_group(napi_env napi, napi_callback_info info) {
  struct pio_env *env;
  napi_value arguments[1], result;
  char name[NAME_BYTES], entry[ENTRY_BYTES];
  struct group group, *found = NULL;
  if (!pio_arguments(napi, info, 1, arguments, &env) || !pio_string(napi, arguments[0], name, sizeof name)) return NULL;
  bool known = getgrnam_r(name, &group, entry, sizeof entry, &found) == 0 && found != NULL;
  return napi_create_double(napi, known ? (double)group.gr_gid : -1, &result) == napi_ok ? result : NULL;
}

/* keepCapabilities(): before the user changes. 0 or -errno */
static napi_value keep_capabilities(napi_env napi, napi_callback_info info) {
  (void)info;
  return pio_int(napi, prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0 ? -errno : 0);
}

/* confineToNetAdmin(): after it; of all that was kept, CAP_NET_ADMIN alone stays. 0 or -errno */
static napi_value confine_to_net_admin(napi_env napi, napi_callback_info info) {
  (void)info;
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  struct __user_cap_data_struct sets[2];
  memset(sets, 0, sizeof sets);
  sets[0].permitted = sets[0].effective = sets[0].inheritable = NET_ADMIN_BIT;
  int result = syscall(SYS_capset, &header, sets) < 0 ? -errno : 0;
  prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0);
  return pio_int(napi, result);
}

/* passNetAdmin(whether): whether a program that is started now has CAP_NET_ADMIN too. 0 or -errno */
static napi_value pass_net_admin(napi_env napi, napi_callback_info info) {
  struct pio_env *env;
  napi_value arguments[1];
  bool pass;
  if (!pio_arguments(napi, info, 1, arguments, &env) || !pio_bool(napi, arguments[0], &pass)) return NULL;
  int what = pass ? PR_CAP_AMBIENT_RAISE : PR_CAP_AMBIENT_LOWER;
  return pio_int(napi, prctl(PR_CAP_AMBIENT, what, CAP_NET_ADMIN, 0, 0) < 0 ? -errno : 0);
}

const pio_function pio_privilege_functions[] = {{"findUser", find_user},
                                                {"findGroup", find_group},
                                                {"keepCapabilities", keep_capabilities},
                                                {"confineToNetAdmin", confine_to_net_admin},
                                                {"passNetAdmin", pass_net_admin},
                                                {NULL, NULL}};
