import { parseConfigText } from '@openvpnd/config';
import { expect, test } from 'vitest';
import { listenerEnvironment } from '../src/server/listener-environment.js';

const SERVER =
  'dev tun\n<ca>\n</ca>\n<cert>\n</cert>\n<key>\n</key>\ndh none\nserver 10.8.0.0 255.255.255.0\nkeepalive 10 60\n';

function environment(text: string): Record<string, string> {
  const result = parseConfigText(SERVER + text, 'server.conf');
  if (!result.ok || result.standAlone !== undefined) throw new Error(JSON.stringify(result));
  return listenerEnvironment(result.options.listeners);
}

test('programs are told of each listener, in order, as OpenVPN 2.7 does it', () => {
  expect(environment('local 192.0.2.1\nlocal * 443 tcp4\n<listen>\nlocal 2001:db8::1 7 udp6\n</listen>\n')).toEqual({
    local_1: '192.0.2.1',
    local_port_1: '1194',
    proto_1: 'udp',
    local_port_2: '443',
    proto_2: 'tcp4-server',
    local_3: '2001:db8::1',
    local_port_3: '7',
    proto_3: 'udp6',
  });
  expect(environment('')).toEqual({ local_port_1: '1194', proto_1: 'udp' });
});
