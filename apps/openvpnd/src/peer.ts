export { ClientTunnel, type ClientTunnelOptions } from './client/client-tunnel.js';
export type { ImportedOptions } from './client/import-options.js';
export type { SignalInfo } from './host/signals.js';
export type { PushUpdateResult, PushUpdateTarget } from './server/push-updates.js';
export { ServerTunnel, type ServerTunnelOptions } from './server/server-tunnel.js';
export type { TunnelAction } from './tunnel-action.js';
