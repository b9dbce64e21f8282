import { parseClientConfig } from '@openvpnd/config';
import { expect, test } from 'vitest';
import { pushedOptions } from '../src/server/pushed-options.js';

const COMMON = ['route-gateway 10.8.0.1', 'topology subnet', 'ping 10', 'route 10.1.0.0 255.255.0.0'];
const ADDRESSES = {
  ipv4: { local: '10.8.0.2', remoteOrNetmask: '255.255.255.0' },
  ipv6: { local: 'fd00:8::1000', bits: 64, remote: 'fd00:8::1' },
};

function edits(...lines: readonly string[]) {
  const { config, log } = parseClientConfig(lines.join('\n'), 'client');
  expect(log).toEqual([]);
  return config;
}

test('the common options, then the addresses, IPv6 first', () => {
  expect(pushedOptions(COMMON, undefined, ADDRESSES)).toEqual([
    ...COMMON,
    'ifconfig-ipv6 fd00:8::1000/64 fd00:8::1',
    'ifconfig 10.8.0.2 255.255.255.0',
  ]);
});

test('only what there is', () => {
  expect(pushedOptions([], undefined, {})).toEqual([]);
  expect(pushedOptions([], undefined, { ipv4: ADDRESSES.ipv4 })).toEqual(['ifconfig 10.8.0.2 255.255.255.0']);
  expect(pushedOptions([], undefined, { ipv6: ADDRESSES.ipv6 })).toEqual(['ifconfig-ipv6 fd00:8::1000/64 fd00:8::1']);
});

test('a client’s own configuration adds, removes and resets, and the addresses stay', () => {
  const [, ipv4] = pushedOptions([], undefined, ADDRESSES);
  const more = pushedOptions(COMMON, edits('push "route 10.2.0.0 255.255.0.0"'), ADDRESSES);
  expect(more.slice(0, 5)).toEqual([...COMMON, 'route 10.2.0.0 255.255.0.0']);
  const fewer = pushedOptions(COMMON, edits('push-remove "route 10.1"'), ADDRESSES);
  expect(fewer.slice(0, 3)).toEqual(COMMON.slice(0, 3));
  expect(fewer).toHaveLength(5);
  const none = pushedOptions(COMMON, edits('push-reset'), ADDRESSES);
  expect(none.at(-1)).toBe(ipv4);
  expect(none).not.toContain('route 10.1.0.0 255.255.0.0');
});

test('the list of the server is not changed', () => {
  const common = [...COMMON];
  pushedOptions(common, edits('push "ping 99"', 'push-remove ping'), ADDRESSES);
  expect(common).toEqual(COMMON);
});
