import { Secret } from '@openvpnd/sans-io';
import { tls1Prf } from './tls1-prf.js';

/** Length of one key slot: 64 bytes for the cipher, 64 for the HMAC. OpenVPN: struct key. */
export const KEY_SLOT_BYTES = 128;
/** Length of a pair of slots, one for each direction: data channel key, static key file. OpenVPN: struct key2. */
export const KEY2_BYTES: number = 2 * KEY_SLOT_BYTES;
/** Each half of a slot. */
export const KEY_HALF_BYTES = 64;

/** Exporter label of the data channel keys, {@link KEY2_BYTES} long. Without a context: with TLS 1.2 an empty one differs. */
export const EKM_LABEL_DATA_KEYS = 'EXPORTER-OpenVPN-datakeys';
/** Exporter label of the key that wraps the control packets of renegotiations, {@link KEY2_BYTES} long. */
export const EKM_LABEL_DYNAMIC_TLS_CRYPT = 'EXPORTER-OpenVPN-dynamic-tls-crypt';
/** Exporter label of the peer id in point-to-point mode, {@link EKM_PEER_ID_BYTES} long, big-endian. */
export const EKM_LABEL_P2P_PEER_ID = 'EXPORTER-OpenVPN-p2p-peerid';
/** Length of an exported peer id. */
export const EKM_PEER_ID_BYTES = 3;
/** Peer id in point-to-point mode where the exporter is not used. */
export const P2P_PEER_ID_WITHOUT_EKM = 0x76_706e;

/** What one side put into the key exchange, with its session id. */
export interface KeySource {
  readonly random1: Uint8Array;
  readonly random2: Uint8Array;
  /** 8 bytes. */
  readonly sessionId: Uint8Array;
}

/** The client's part, which alone has a pre-master secret. */
export interface ClientKeySource extends KeySource {
  /** 48 bytes. */
  readonly preMaster: Uint8Array;
}

/**
 * Data channel key from the key exchange messages (key method 2), for peers without the exporter. Client and server are
 * the roles in TLS, whoever began. OpenVPN: generate_key_expansion_openvpn_prf().
 *
 * @returns {@link KEY2_BYTES}; the caller zeroes it when the directional keys are made
 */
export function deriveKey2ByPrf(sources: { readonly client: ClientKeySource; readonly server: KeySource }): Secret {
  const { client, server } = sources;
  const master = tls1Prf(client.preMaster, join([ascii('OpenVPN master secret'), client.random1, server.random1]), 48);
  const seed = join([
    ascii('OpenVPN key expansion'),
    client.random2,
    server.random2,
    client.sessionId,
    server.sessionId,
  ]);
  const bytes = tls1Prf(master, seed, KEY2_BYTES);
  const key2 = new Secret(bytes);
  master.fill(0);
  bytes.fill(0);
  return key2;
}

function ascii(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

function join(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    bytes.set(part, offset);
    offset += part.length;
  }
  return bytes;
}
