/* Flows: packets that come alone and need no decision of JavaScript's (flow.c). */
#ifndef PACKET_IO_FLOW_H
#define PACKET_IO_FLOW_H

#include "packet_io.h"

/* Whether some flow may take what this port has to be read; else nobody looks. To be asked each time. */
bool pio_flows_wanted(struct pio_port *port);
/*
 * Carries what has come, if it is one packet of a flow. False: JavaScript is to be told; what was read then waits in the port, where the next receive
 * or read finds it first.
 */
bool pio_flow_turn(struct pio_port *port);
/* These will not do any more: no flow uses them from now on. */
void pio_flows_leave_port(const struct pio_port *port);
void pio_flows_leave_key(struct pio_env *env, const struct pio_key *key);
void pio_flows_free(struct pio_env *env);

#endif
