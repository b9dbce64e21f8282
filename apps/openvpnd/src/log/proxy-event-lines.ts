import { type Endpoint, formatEndpoint } from '@openvpnd/external-mux';
import type { LogFields } from '@openvpnd/sans-io';
import type { EventLine } from './event-lines.js';

/** OpenVPN: M_INFO and D_PROXY. */
const ALWAYS = 1;
const CONVERSATION = 2;

/** OpenVPN's lines for what is said with proxies. Nothing secret is in them: where OpenVPN prints what it sends as its login, these tell only which kind it is. */
export const PROXY_EVENT_LINES: Readonly<Record<string, EventLine>> = {
  'http-proxy.connected': { verb: ALWAYS, text: established },
  'http-proxy.sent': { verb: CONVERSATION, text: (f) => `Send to HTTP proxy: '${f.line}'` },
  'http-proxy.attempt': { verb: CONVERSATION, text: (f) => `Attempting ${f.method} Proxy-Authorization` },
  'http-proxy.attempt-ntlm': {
    verb: CONVERSATION,
    text: (f) => `Attempting NTLM Proxy-Authorization phase ${f.phase}`,
  },
  'http-proxy.ntlm-challenge': {
    verb: CONVERSATION,
    text: () => 'Received NTLM Proxy-Authorization phase 2 response',
  },
  'http-proxy.returned': { verb: CONVERSATION, text: (f) => `HTTP proxy returned: '${f.line}'` },
  'http-proxy.authentication-required': { verb: CONVERSATION, text: () => 'Proxy requires authentication' },
  'http-proxy.challenge': {
    verb: CONVERSATION,
    text: (f) => `PROXY AUTH ${f.scheme}${f.realm === undefined ? '' : `: realm '${f.realm}'`}`,
  },
  'socks-proxy.connected': { verb: ALWAYS, text: established },
  'socks-proxy.relay': { verb: ALWAYS, text: (f) => `SOCKS proxy wants us to send UDP to ${place(f)}` },
};

function established(fields: LogFields): string {
  return `TCP connection established with ${place(fields)}`;
}

function place({ family, address, port }: LogFields): string {
  const endpoint: Endpoint = { family: family === 6 ? 6 : 4, address: String(address), port: Number(port) };
  return formatEndpoint(endpoint);
}
