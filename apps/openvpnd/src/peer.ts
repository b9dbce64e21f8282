export { ClientTunnel, type ClientTunnelOptions } from './client-tunnel.js';
export type { SignalInfo } from './host/signals.js';
export type { ImportedOptions } from './import-options.js';
export type { PushUpdateResult, PushUpdateTarget } from './push-updates.js';
export { ServerTunnel, type ServerTunnelOptions } from './server-tunnel.js';
export type { TunnelAction } from './tunnel-action.js';
