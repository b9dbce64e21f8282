import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { TlsEvent } from '../src/index.js';
import { readCommands, readReports, TlsCommandWriter, TlsReportWriter } from '../src/node/tls-worker-frames.js';
import type { TlsEngineCommand, TlsReport } from '../src/node/tls-worker-messages.js';

const id = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const bytes = fc.uint8Array({ maxLength: 3000 });

const command: fc.Arbitrary<TlsEngineCommand> = fc.oneof(
  fc.record({ type: fc.constant('create' as const), id, role: fc.constantFrom('client' as const, 'server' as const) }),
  fc.record({ type: fc.constantFrom('start' as const, 'close' as const), id }),
  fc.record({ type: fc.constantFrom('ciphertext' as const, 'plaintext' as const), id, bytes }),
);

const certificate = fc.record({
  depth: fc.nat(9),
  raw: bytes,
  subject: fc.string(),
  issuer: fc.string(),
  commonName: fc.option(fc.string(), { nil: undefined }),
  serialNumber: fc.string(),
  keyUsage: fc.option(fc.nat(255), { nil: undefined }),
  extendedKeyUsage: fc.array(fc.string(), { maxLength: 3 }),
  sha256: bytes,
});

const event: fc.Arbitrary<TlsEvent> = fc.oneof(
  fc.record({ type: fc.constantFrom('ciphertext' as const, 'plaintext' as const), bytes }),
  fc.constant({ type: 'closed' as const }),
  fc.record({ type: fc.constant('failed' as const), reason: fc.string() }),
  fc.record({
    type: fc.constant('secure' as const),
    version: fc.string(),
    cipher: fc.string(),
    detail: fc.string(),
    certificates: fc.array(certificate, { maxLength: 3 }),
  }),
);

const report: fc.Arbitrary<TlsReport> = fc.record(
  {
    id,
    events: fc.array(event, { maxLength: 4 }),
    consumed: fc.maxSafeNat(),
    sealed: fc.maxSafeNat(),
    exported: fc.array(fc.option(fc.uint8Array({ minLength: 1, maxLength: 300 }), { nil: undefined }), {
      minLength: 1,
      maxLength: 3,
    }),
  },
  { requiredKeys: ['id', 'events', 'consumed', 'sealed'] },
);

describe('messages to a thread', () => {
  it('bring commands as they were given, in order', () => {
    fc.assert(
      fc.property(fc.array(fc.array(command, { maxLength: 20 }), { maxLength: 3 }), (turns) => {
        const writer = new TlsCommandWriter();
        for (const commands of turns) {
          for (const one of commands) writer.add(one);
          expect(writer.isEmpty).toBe(commands.length === 0);
          expect([...readCommands(writer.take())]).toEqual(commands);
          expect(writer.isEmpty).toBe(true);
        }
      }),
    );
  });

  it('are not read when they are no commands', () => {
    const writer = new TlsReportWriter();
    writer.add({ id: 1, events: [], consumed: 0, sealed: 0 });
    expect(() => [...readCommands(writer.take())]).toThrow(RangeError);
  });
});

describe('messages from a thread', () => {
  it('bring reports as they were given, in order, with bytes of their own', () => {
    fc.assert(
      fc.property(fc.array(report, { maxLength: 8 }), (reports) => {
        const writer = new TlsReportWriter();
        for (const one of reports) writer.add(one);
        const message = writer.take();
        const read = [...readReports(message)];
        message.fill(0);
        expect(read).toEqual(reports);
      }),
    );
  });

  it('are not read when they are no reports', () => {
    const writer = new TlsCommandWriter();
    writer.add({ type: 'start', id: 1 });
    expect(() => [...readReports(writer.take())]).toThrow(RangeError);
  });
});
