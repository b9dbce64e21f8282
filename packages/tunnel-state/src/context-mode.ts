/**
 * What a context stands for. `CM_P2P`: the one tunnel of a client. `CM_TOP`: a server's process, which is no tunnel. `CM_CHILD_UDP`, `CM_CHILD_TCP`: one
 * client of a server. OpenVPN: context.mode.
 */
export type ContextMode = 'CM_P2P' | 'CM_TOP' | 'CM_CHILD_UDP' | 'CM_CHILD_TCP';
