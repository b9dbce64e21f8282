import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  MAX_PUSH_OPTION_BYTES,
  PUSH_BUNDLE_BYTES,
  PushAssembly,
  type PushPart,
  parseControlMessage,
  splitPushReply,
  splitPushUpdate,
} from '../src/index.js';
import { value, vectors } from './vectors.js';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

function part(text: string): PushPart {
  const message = parseControlMessage(text);
  if (message.type !== 'PUSH_REPLY' && message.type !== 'PUSH_UPDATE') throw new Error(message.type);
  return message;
}

describe('push update vectors', () => {
  test.each(vectors('push_update_split').map((v) => [v.id, v] as const))('%s', (_id, { inputs, expected }) => {
    const result = splitPushUpdate(inputs.message, inputs.push_bundle_size);
    if (expected.result === 'ok') expect(value(result)).toEqual(expected.messages);
    else expect(result.ok).toBe(false);
  });
});

test('few options make one message', () => {
  expect(splitPushReply([])).toEqual(['PUSH_REPLY']);
  expect(splitPushReply(['a', 'b'])).toEqual(['PUSH_REPLY,a,b']);
});

test('many options make several, each below the bundle', () => {
  const options = Array.from({ length: 200 }, (_, i) => `route 10.0.${i}.0 255.255.255.0`);
  const messages = splitPushReply(options);
  expect(messages.length).toBeGreaterThan(4);
  for (const message of messages)
    expect(message.length).toBeLessThan(PUSH_BUNDLE_BYTES - 84 + ',push-continuation 2'.length + 1);
  const assembly = new PushAssembly();
  const results = messages.map((message) => value(assembly.handlePart(part(message))));
  expect(results.slice(0, -1).every((result) => result === undefined)).toBe(true);
  expect(results.at(-1)).toEqual(options);
});

test('the split comes when the text would reach 940 bytes', () => {
  const option = (length: number): string => 'x'.repeat(length);
  expect(splitPushReply([option(500), option(928 - 500)])).toHaveLength(1);
  expect(splitPushReply([option(500), option(929 - 500)])).toHaveLength(2);
  expect(splitPushReply([option(MAX_PUSH_OPTION_BYTES)])).toHaveLength(1);
  expect(() => splitPushReply([option(MAX_PUSH_OPTION_BYTES + 1)])).toThrow(RangeError);
});

test('a server that never ends its reply is refused', () => {
  const assembly = new PushAssembly();
  const endless: PushPart = { options: ['x'.repeat(1000)], continuation: 'more' };
  let parts = 0;
  while (assembly.handlePart(endless).ok && parts < 5000) parts++;
  expect(parts).toBe(1047);
  expect(value(assembly.handlePart({ options: ['a'], continuation: 'single' }))).toEqual(['a']);
});

test('parts without options leave nothing behind', async () => {
  const assembly = new PushAssembly();
  const parts = Array.from({ length: 1000 }, () => {
    const empty = part('PUSH_REPLY,push-continuation 2');
    expect(value(assembly.handlePart(empty))).toBeUndefined();
    return new WeakRef(empty);
  });
  // What a WeakRef was made of lives to the end of its turn.
  await new Promise((resolve) => setImmediate(resolve));
  collect();
  expect(parts.filter((one) => one.deref() !== undefined)).toHaveLength(0);
  expect(value(assembly.handlePart({ options: ['a'], continuation: 'last' }))).toEqual(['a']);
});

test('split and join are inverse for any options', () => {
  const option = fc
    .string({ minLength: 1, maxLength: 300 })
    .filter((text) => !text.includes(',') && !text.includes('push-continuation'));
  fc.assert(
    fc.property(fc.array(option, { maxLength: 40 }), (options) => {
      const assembly = new PushAssembly();
      const results = splitPushReply(options).map((message) => value(assembly.handlePart(part(message))));
      expect(results.at(-1)).toEqual(options);
    }),
    { seed: 1, numRuns: 200 },
  );
});
