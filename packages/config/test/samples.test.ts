import { expect, test } from 'vitest';
import { parseConfigText } from '../src/index.js';

/** A client profile as providers hand it out: CRLF, comments, inline files, odd spacing. */
const PROFILE = `\ufeff# profile
client\r
dev tun\r
proto udp\r
;remote old.example.com 1194
remote  nl.example.com   1194
remote de.example.com 1195   # second
remote-random
resolv-retry infinite
nobind
persist-key
persist-tun
setenv CLIENT_CERT 0
setenv opt block-outside-dns
ignore-unknown-option data-ciphers-new
data-ciphers-new X
remote-cert-tls server
tls-version-min 1.2
cipher AES-256-GCM
auth SHA512
tls-client
mute-replay-warnings
verb 3
reneg-sec 0
auth-user-pass login.txt
auth-nocache
pull-filter ignore "dhcp-option DNS6"
key-direction 1
<ca>
-----BEGIN CERTIFICATE-----
AAAA
-----END CERTIFICATE-----
</ca>
<tls-auth>
-----BEGIN OpenVPN Static key V1-----
00
-----END OpenVPN Static key V1-----
</tls-auth>
`;

test('a profile of a provider', () => {
  const result = parseConfigText(PROFILE, 'p.ovpn');
  if (!result.ok || result.standAlone !== undefined) throw new Error(JSON.stringify(result));
  const { options, warnings } = result;
  expect(options.connections.map((entry) => entry.remote)).toEqual([
    { host: 'nl.example.com', port: 1194 },
    { host: 'de.example.com', port: 1195 },
  ]);
  expect(options.connections[0]?.controlWrap).toMatchObject({ kind: 'tls-auth', direction: 1 });
  expect(options.tls.ca).toMatchObject({ kind: 'inline', origin: { file: 'p.ovpn', line: 29 } });
  expect(options.tls.renegotiation.maxSeconds).toBe(0);
  expect(options.client).toMatchObject({
    authNocache: true,
    authUserPass: { kind: 'file', path: 'login.txt' },
    pullFilters: [{ action: 'ignore', text: 'dhcp-option DNS6' }],
  });
  expect(options.dataChannel).toMatchObject({ cipher: 'AES-256-GCM', auth: 'SHA512' });
  expect(options.link.remoteRandom).toBe(true);
  expect(warnings).toEqual([
    expect.stringContaining('p.ovpn:14: block-outside-dns'),
    expect.stringContaining('p.ovpn:16: data-ciphers-new'),
  ]);
});
