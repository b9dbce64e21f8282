import { readFileSync } from 'node:fs';
import { Duplex } from 'node:stream';
import { connect } from 'node:tls';
import { MAX_TURNS, TlsParty } from '@openvpnd/control-tls/conformance';
import { describe, expect, it } from 'vitest';
import { identities, nodeWorld, turn } from './node-world.js';
import { exportTls12, exportTls13 } from './tls-exporter.js';

interface Vector {
  id: string;
  inputs: {
    tls: string;
    hash: string;
    prf_hash: string;
    exporter_master_secret: string;
    master_secret: string;
    client_random: string;
    server_random: string;
    label: string;
    context: string | null;
    length: number;
  };
  expected: { key2_256?: string; key2_256_wrong?: string; out?: string };
}

const { vectors } = JSON.parse(readFileSync(new URL('./vectors/tls_ekm.json', import.meta.url), 'utf8')) as {
  vectors: Vector[];
};
const hex = (text: string): Buffer => Buffer.from(text, 'hex');

describe('the reference that the engine is compared with', () => {
  it.each(vectors)('$id', ({ inputs, expected }) => {
    const context = inputs.context === null ? undefined : hex(inputs.context);
    const exported =
      inputs.tls === '1.3'
        ? exportTls13(inputs.hash, hex(inputs.exporter_master_secret), inputs.label, inputs.length)
        : exportTls12(
            inputs.prf_hash,
            hex(inputs.master_secret),
            hex(inputs.client_random + inputs.server_random),
            inputs.label,
            inputs.length,
            context,
          );
    expect(exported.toString('hex')).toBe(expected.key2_256 ?? expected.key2_256_wrong ?? expected.out);
  });
});

describe('the engine exports what the RFC says, without a context', () => {
  it.each(['1.2', '1.3'] as const)('TLS %s', async (version) => {
    const { pki, client } = await identities();
    const world = await nodeWorld({ maxVersion: version });
    const engine = new TlsParty(world.server, 'server');
    const fromEngine: Uint8Array[] = [];
    const carrier = new Duplex({
      read: () => {},
      write: (chunk: Buffer, _encoding, done) => {
        engine.receive(chunk);
        done();
      },
    });
    const socket = connect({
      socket: carrier,
      ca: pki.ca,
      cert: client.cert,
      key: client.key,
      checkServerIdentity: () => undefined,
    });
    const secrets = new Map<string, string[]>();
    socket.on('keylog', (line: Buffer) => {
      const [name, ...values] = line.toString().trim().split(' ');
      secrets.set(name!, values);
    });
    for (let n = 0; engine.all('secure').length === 0 && n < MAX_TURNS; n += 1) {
      await turn();
      for (const bytes of engine.takeCiphertext()) {
        fromEngine.push(bytes);
        carrier.push(Buffer.from(bytes));
      }
    }
    const label = 'EXPORTER-OpenVPN-datakeys';
    const exported = Buffer.from(engine.engine.exportKeyingMaterial(label, 256));
    if (version === '1.3') {
      expect(exported).toEqual(exportTls13('sha384', hex(secrets.get('EXPORTER_SECRET')![1]!), label, 256));
    } else {
      const [clientRandom, masterSecret] = secrets.get('CLIENT_RANDOM')!;
      // Record header, handshake header, version: then ServerHello.random.
      const serverRandom = Buffer.concat(fromEngine).subarray(11, 43);
      const randoms = Buffer.concat([hex(clientRandom!), serverRandom]);
      expect(exported).toEqual(exportTls12('sha384', hex(masterSecret!), randoms, label, 256));
      expect(exported).not.toEqual(exportTls12('sha384', hex(masterSecret!), randoms, label, 256, Buffer.alloc(0)));
    }
    socket.destroy();
    engine.engine.close();
  });
});
