/** Service names that stand in OpenVPN configurations. Others are refused: this package reads no /etc/services. */
const SERVICES: ReadonlyMap<string, number> = new Map([
  ['openvpn', 1194],
  ['http', 80],
  ['https', 443],
  ['domain', 53],
  ['ntp', 123],
]);

/** OpenVPN's registered port, the default at both ends. */
export const DEFAULT_PORT = 1194;

/** A port from 0 to 65535 written as number or well-known service, or undefined. */
export function parsePort(text: string): number | undefined {
  const service = SERVICES.get(text);
  if (service !== undefined) return service;
  if (!/^\d{1,5}$/.test(text)) return undefined;
  const port = Number(text);
  return port <= 65535 ? port : undefined;
}
