import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { applyPushUpdate } from '../src/index.js';
import recorded from './vectors/push_update_receive.json' with { type: 'json' };

/** What the framing of the messages decides, of which this package knows nothing, is cut off here. */
function optionsOf(message: string): { readonly options: readonly string[]; readonly more: boolean } | undefined {
  if (!message.startsWith('PUSH_UPDATE,')) return undefined;
  const options = message.slice('PUSH_UPDATE,'.length).split(',');
  return { options, more: options.some((option) => option.trim() === 'push-continuation 2') };
}

function verdict(message: string): string {
  const parts = optionsOf(message);
  if (parts === undefined || !applyPushUpdate([], parts.options).ok) return 'ERROR';
  return parts.more ? 'CONTINUATION' : 'UPDATE';
}

describe('recorded updates', () => {
  for (const { id, inputs, expected } of recorded.vectors) {
    test(id, () => {
      if (inputs.message !== undefined) {
        expect(verdict(inputs.message)).toBe(expected.verdict);
        return;
      }
      const messages = inputs.messages ?? [];
      expect(messages.map(verdict)).toEqual(expected.verdicts);
      const update = messages.flatMap((message) => optionsOf(message)?.options ?? []);
      const result = applyPushUpdate(['route 10.99.0.0 255.255.0.0', 'ping 10'], update);
      if (!result.ok) throw new Error(result.reason);
      expect(result.options.filter((option) => option.startsWith('route '))).toHaveLength(expected.routes_added ?? 0);
      // The old route went once, and nothing else.
      expect(result.options).not.toContain('route 10.99.0.0 255.255.0.0');
      expect(result.options).toContain('ping 10');
    });
  }
});

test('removes, replaces and adds', () => {
  const pushed = [
    'route 10.1.0.0',
    'route-ipv6 fd00::/64',
    'ping 10',
    'ping-restart 60',
    'dhcp-option DNS 10.0.0.1',
    'peer-id 3',
  ];
  expect(applyPushUpdate(pushed, ['-dhcp-option', 'route 10.2.0.0', 'route 10.3.0.0', 'keepalive 1 5'])).toEqual({
    ok: true,
    options: ['route-ipv6 fd00::/64', 'peer-id 3', 'route 10.2.0.0', 'route 10.3.0.0', 'ping 1', 'ping-restart 5'],
    brought: ['route 10.2.0.0', 'route 10.3.0.0', 'ping 1', 'ping-restart 5'],
    log: [],
  });
  // A name is not a prefix.
  expect(applyPushUpdate(pushed, ['-route'])).toMatchObject({
    options: expect.arrayContaining(['route-ipv6 fd00::/64']),
  });
});

test('what may not be updated is refused, or skipped where the server says that it may be', () => {
  expect(applyPushUpdate([], ['cipher AES-128-GCM']).ok).toBe(false);
  expect(applyPushUpdate([], ['-peer-id']).ok).toBe(false);
  expect(applyPushUpdate(['peer-id 3'], ['?cipher AES-128-GCM', '-?peer-id'])).toEqual({
    ok: true,
    options: ['peer-id 3'],
    brought: [],
    log: [expect.stringContaining("'cipher'"), expect.stringContaining("'peer-id'")],
  });
});

test('what an update brings and takes away again is gone', () => {
  expect(applyPushUpdate(['route 10.1.0.0'], ['route 10.2.0.0', '-route'])).toMatchObject({ options: [], brought: [] });
  expect(applyPushUpdate(['route 10.1.0.0'], ['-route', 'route 10.2.0.0'])).toMatchObject({
    options: ['route 10.2.0.0'],
  });
});

test('pull-filter counts for updates too: an ignored option changes nothing, a rejected one refuses the update', () => {
  const filters = [
    { action: 'accept', text: 'route 10.2' },
    { action: 'ignore', text: 'route' },
    { action: 'reject', text: 'dns' },
  ] as const;
  const pushed = ['route 10.1.0.0', 'topology subnet'];
  expect(applyPushUpdate(pushed, ['route 10.3.0.0', '-route-ipv6', '-topology'], filters)).toEqual({
    ok: true,
    options: ['route 10.1.0.0'],
    brought: [],
    log: ["Pushed option removed by filter: 'route 10.3.0.0'", "Pushed option removed by filter: 'route-ipv6'"],
  });
  expect(applyPushUpdate(pushed, ['route 10.2.0.0'], filters)).toMatchObject({
    options: ['topology subnet', 'route 10.2.0.0'],
  });
  expect(applyPushUpdate(pushed, ['-dns'], filters)).toEqual({
    ok: false,
    reason: "Pushed option rejected by filter: 'dns'. Restarting.",
    log: [],
  });
});

test('never throws, and what it leaves is what was pushed or updated', () => {
  const option = fc.oneof(
    fc.string({ maxLength: 30 }),
    fc.constantFrom('-route', '?-dns', '-?x', '?x', 'route a', '-', '?', ''),
  );
  fc.assert(
    fc.property(fc.array(option), fc.array(option), (pushed, update) => {
      const result = applyPushUpdate(pushed, update);
      if (!result.ok) return;
      for (const left of result.options) {
        expect(pushed.includes(left) || update.some((text) => text.includes(left)) || left.startsWith('ping')).toBe(
          true,
        );
      }
    }),
    { seed: 1, numRuns: 300 },
  );
});
