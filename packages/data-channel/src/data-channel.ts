import type { DataChannelKeys } from '@openvpnd/keygen';
import { FATE_SEAL, FATE_TO_DEVICE, FATE_TO_LINK, type PacketVector } from '@openvpnd/memory';
import { earliest, type Instant, NEVER, type Random } from '@openvpnd/sans-io';
import { firstByte, P_DATA_V1, P_DATA_V2, PING_PAYLOAD } from '@openvpnd/wire';
import { type DataDrop, nameDrops } from './drops.js';
import { EncryptThenMac } from './encrypt-then-mac.js';
import { EpochKeys } from './epoch-keys.js';
import type { EpochDerivation } from './epoch-receive-keys.js';
import { FLOW_SILENCE_MS, Flows } from './flows.js';
import { findHmacDigest } from './hmac-digest.js';
import { AEAD_LIMITS, type AeadLimits, type InstallOptions, KEYS_PER_PEER, NO_ENTRY } from './key-slots.js';
import { OpenStage } from './open-stage.js';
import { PayloadFraming } from './payload-framing.js';
import type { PeerCounters } from './peer-counters.js';
import type { PeerSettings } from './peer-settings.js';
import { PeerTable } from './peer-table.js';
import type { AeadBackend, FlowOffload } from './ports.js';
import { DEFAULT_REPLAY_WINDOW } from './replay-window.js';
import { SealStage } from './seal-stage.js';
import type { DataSignal } from './signals.js';

export interface DataChannelOptions {
  readonly backend: AeadBackend;
  /** Slots run from 0 to this, exclusive. About 1 KiB each is allocated at once. */
  readonly maxPeers: number;
  /** What carries packets that come alone; without it all of them pass through here. */
  readonly flows?: FlowOffload | undefined;
  /** Other limits than the real ones, for tests: nobody seals 2^36 blocks in one. */
  readonly aeadLimits?: AeadLimits;
  /** For the initialisation vectors of CBC; without it such a key cannot be installed. */
  readonly random?: Random;
  /** keygen's `nextEpochSecret` and `epochDataKey`; without them epoch keys cannot be installed. */
  readonly epochDerivation?: EpochDerivation;
}

/** How a key is to be used. */
export interface DataKeyOptions {
  /** 0 … 2^24 − 1: P_DATA_V2 is sent; without it P_DATA_V1. */
  readonly peerId?: number;
  /**
   * What the MSS of IPv4 SYNs is clamped to, both ways, while the key is sent with (IPv6: 20 less); 0 or missing for not at all. It depends
   * on the cipher: keygen's `mssOf()` works it out of `--mssfix`.
   */
  readonly mss?: number;
  /** `--auth`: the digest of the HMAC, for ciphers that are no AEAD; `none` for none. SHA1 when missing. */
  readonly auth?: string;
  /** Epoch data keys, as negotiated (`protocol-flags aead-epoch`): for AEAD ciphers with a peer id. */
  readonly epoch?: boolean;
}

/** How a static key is to be used. */
export interface StaticKeyOptions {
  readonly auth?: string;
  readonly mss?: number;
  /** Unix seconds at an instant. */
  readonly unixTime: (now: Instant) => number;
}

const MAX_WAITING_MESSAGES = 64;

/** OpenVPN's default of `--auth`. */
const DEFAULT_AUTH = 'SHA1';

/**
 * The data channel of all peers of a process: seals and opens vectors of packets under each peer's keys, gives out packet ids, refuses
 * replays, clamps the MSS, sends and swallows keep-alives, and says when a key is worn out or a peer silent.
 *
 * A peer is a slot. It has up to eight keys at once, found by the key id in a packet's first byte; one of them is sent with. Any of them
 * opens, P_DATA_V1 as well as P_DATA_V2. Calls about slots and keys that do not exist are bugs of ours and throw; packets never do.
 */
export class DataChannel {
  /**
   * What a vector must reserve around a packet. In front: peer id, the longest HMAC, IV, a long packet id, fragment header, compression
   * mark; AEAD alone takes 24. Behind: padding or a tag, and the byte that a compression framing moves there.
   */
  static readonly needs = { headroom: 98, tailroom: 17 } as const;

  readonly #backend: AeadBackend;
  readonly #peers: PeerTable;
  readonly #open: OpenStage;
  readonly #seal: SealStage;
  readonly #flows: Flows | undefined;
  /** The packet in row 0 of the vector that was sealed last came alone and was noted for a flow. */
  #isNoted = false;
  #lastSealed: Instant = 0;
  /** Payloads of our own that wait for the next {@link handleTimeout}. */
  #messages: { readonly slot: number; readonly payload: Uint8Array; readonly at: Instant }[] = [];
  readonly #random: Random | undefined;
  readonly #epochDerivation: EpochDerivation | undefined;
  readonly #aeadLimits: AeadLimits;

  constructor(options: DataChannelOptions) {
    const { backend, maxPeers } = options;
    this.#backend = backend;
    this.#peers = new PeerTable(backend, maxPeers, options.aeadLimits);
    this.#flows = options.flows && new Flows(options.flows, this.#peers);
    this.#open = new OpenStage(backend, this.#peers, this.#flows);
    this.#seal = new SealStage(backend, this.#peers, this.#flows);
    this.#random = options.random;
    this.#epochDerivation = options.epochDerivation;
    this.#aeadLimits = options.aeadLimits ?? AEAD_LIMITS;
  }

  /** Takes a slot into use, without keys; its timers start. */
  addPeer(slot: number, settings: PeerSettings, now: Instant): void {
    if (!(slot >= 0 && slot < this.#peers.maxPeers)) throw new RangeError(`no slot ${slot}`);
    if (this.#peers.settings[slot] !== undefined) throw new RangeError(`slot ${slot} is in use`);
    this.#peers.settings[slot] = settings;
    this.#peers.counters.clear(slot);
    this.#peers.clearRefusals(slot);
    this.#peers.setFraming(slot, this.#framing(settings));
    this.#peers.timers.configure(slot, settings, now);
  }

  /** Changes some settings of a peer, as a pushed `ping` does; its timers start anew. */
  configurePeer(slot: number, changes: PeerSettings, now: Instant): void {
    this.#leaveFlows(slot);
    const settings = { ...this.#peers.settingsOf(slot), ...changes };
    this.#peers.settings[slot] = settings;
    // Fragments of a framing that goes on must not be forgotten.
    if ('compression' in changes || 'fragment' in changes) this.#peers.setFraming(slot, this.#framing(settings));
    this.#peers.timers.configure(slot, settings, now);
  }

  /** Fragments of a peer's payloads are no longer than this from now on: it depends on the key. Nothing changes when it is so already. */
  setFragmentPart(slot: number, partBytes: number): void {
    const settings = this.#peers.settingsOf(slot);
    if (settings.fragment?.partBytes === partBytes) return;
    this.#leaveFlows(slot);
    this.#peers.settings[slot] = { ...settings, fragment: { partBytes } };
    this.#peers.setFraming(slot, this.#framing({ ...settings, fragment: { partBytes } }));
  }

  /** Retires all keys of a peer and gives its slot free. A slot that is not in use is left alone. */
  removePeer(slot: number): void {
    if (this.#peers.settings[slot] === undefined) return;
    this.#leaveFlows(slot);
    for (let keyId = 0; keyId < KEYS_PER_PEER; keyId++) this.retireKeys(slot, keyId);
    this.#peers.settings[slot] = undefined;
    this.#peers.timers.forget(slot);
    this.#peers.setFraming(slot, undefined);
    this.#peers.signals.clear(slot);
    if (this.#messages.length > 0) this.#messages = this.#messages.filter((message) => message.slot !== slot);
  }

  /**
   * Lets a key open packets; sealing needs {@link sendWith}. The keys are taken over: they are zeroed when they are retired. A key of the
   * same id is retired first.
   */
  installKeys(slot: number, keyId: number, keys: DataChannelKeys, options: DataKeyOptions = {}): void {
    const settings = this.#peers.settingsOf(slot);
    this.#leaveFlows(slot);
    const entry = entryOf(slot, keyId);
    const prefix = prefixOf(keyId, options.peerId);
    const installation = installationOf(settings, options);
    if (keys.cipher.kind !== 'aead') {
      const cipher = this.#encryptThenMac(keys, prefix, installation, options.auth);
      this.#peers.keys.installRowCipher(entry, keys, cipher, installation);
    } else if (options.epoch) {
      this.#peers.keys.installEpochs(entry, keys, this.#epochKeys(keys, prefix, installation), installation);
    } else {
      this.#peers.keys.install(entry, keys, prefix, installation);
    }
    this.#peers.staticKey[slot] = 0;
    this.#peers.newestEntry[slot] = entry;
    if (this.#peers.sendEntry[slot] === entry) this.#peers.mss[slot] = this.#peers.keys.mss[entry];
  }

  /**
   * Lets packets of `--secret FILE` through, which have neither opcode nor key id, and sends with it. It stands in place of key id 0.
   *
   * @param options.unixTime seconds since 1970 at an instant; they are part of the packet ids
   */
  installStaticKey(slot: number, keys: DataChannelKeys, options: StaticKeyOptions): void {
    const settings = this.#peers.settingsOf(slot);
    this.#leaveFlows(slot);
    if (keys.cipher.kind === 'aead') throw new RangeError(`${keys.cipher.name} does not work with a static key`);
    const entry = entryOf(slot, 0);
    const installation = installationOf(settings, options);
    const cipher = this.#encryptThenMac(keys, new Uint8Array(0), installation, options.auth, options.unixTime);
    this.#peers.keys.installRowCipher(entry, keys, cipher, installation);
    this.#peers.staticKey[slot] = 1;
    this.#peers.newestEntry[slot] = entry;
    this.sendWith(slot, 0);
  }

  /** From now on packets to this peer are sealed under that key. */
  sendWith(slot: number, keyId: number): void {
    const entry = entryOf(slot, keyId);
    if (!this.#peers.keys.has(entry)) throw new RangeError(`peer ${slot} has no key ${keyId}`);
    this.#leaveFlows(slot);
    this.#peers.sendEntry[slot] = entry;
    this.#peers.mss[slot] = this.#peers.keys.mss[entry];
  }

  /** Zeroes a key and forgets it. A peer that was sent to with it cannot be sent to until the next {@link sendWith}. */
  retireKeys(slot: number, keyId: number): void {
    const entry = entryOf(slot, keyId);
    this.#leaveFlows(slot);
    this.#peers.keys.retire(entry);
    if (this.#peers.sendEntry[slot] === entry) this.#peers.sendEntry[slot] = NO_ENTRY;
    if (this.#peers.newestEntry[slot] === entry) this.#peers.newestEntry[slot] = NO_ENTRY;
  }

  /** Whether packets to this peer can be sealed. */
  canSend(slot: number): boolean {
    return this.#peers.sendEntry[slot] >= 0;
  }

  /** When payload last passed, either way; with `inactive` only as much of it as counts there. Before any: when the peer was configured. */
  lastActive(slot: number): Instant {
    this.#flows?.settle();
    return this.#peers.timers.lastActive[slot];
  }

  /** A control packet of this peer was authentic: it is not silent. */
  noteControlReceived(slot: number, now: Instant): void {
    this.#flows?.settle();
    this.#peers.timers.lastReceived[slot] = now;
  }

  /** A control packet was sent to this peer: no ping is needed. */
  noteControlSent(slot: number, now: Instant): void {
    this.#flows?.settle();
    this.#peers.timers.lastSent[slot] = now;
  }

  /**
   * Opens each row with fate OPEN: authentic, fresh and payload → INNER; keep-alive or OCC message → CONSUMED; everything
   * else → DROPPED and counted.
   */
  openBatch(now: Instant, vector: PacketVector): void {
    this.#flows?.settle();
    this.#open.run(now, vector);
  }

  /**
   * Seals each row with fate SEAL under its peer's key: → TO_LINK, or DROPPED and counted.
   *
   * @param repeats what was decided about the one packet of this vector holds for others between the same addresses, see {@link offerSent}
   */
  sealBatch(now: Instant, vector: PacketVector, repeats = false): void {
    this.#flows?.settle();
    this.#isNoted = repeats && this.#noteLone(now, vector);
    this.#seal.run(now, vector, true);
    this.#lastSealed = now;
  }

  /**
   * The one packet of this vector, which `openBatch` has just opened, came from where its peer is and goes to the device, as do others between the same addresses: if its
   * peer is nearly idle, the next of them may be carried without a turn of the loop. Nothing follows where there is no {@link FlowOffload}.
   */
  offerReceived(vector: PacketVector): void {
    const { loneEntry, loneSilence } = this.#open;
    if (this.#flows === undefined || loneEntry === NO_ENTRY || loneSilence < FLOW_SILENCE_MS) return;
    if (vector.count === 1 && vector.fate[0] === FATE_TO_DEVICE) this.#flows.grantReceiving(vector, loneEntry);
  }

  /** The one packet of this vector was sealed with `repeats` and has its address: as {@link offerReceived}. */
  offerSent(vector: PacketVector): void {
    if (!this.#isNoted) return;
    this.#isNoted = false;
    if (vector.count === 1 && vector.fate[0] === FATE_TO_LINK) this.#flows?.grantSending(vector);
  }

  /**
   * Appends to `out` a sealed keep-alive (TO_LINK) for each peer to whom nothing was sent for its ping interval, and raises the signals of
   * silence and inactivity. Fragments that had no room beside their packet come here too. Where `out` becomes full the rest comes with the
   * next call: {@link nextTimeout} stays in the past.
   */
  handleTimeout(now: Instant, out: PacketVector): void {
    this.#flows?.settle();
    if (this.#seal.hasWaiting) this.#seal.flush(now, out);
    const before = out.count;
    this.#appendMessages(out);
    if (this.#peers.timers.nextTimeout <= now) this.#appendPings(now, out);
    if (out.count > before) this.#seal.run(now, out, false);
  }

  #appendMessages(out: PacketVector): void {
    while (this.#messages.length > 0) {
      const { slot, payload } = this.#messages[0];
      if (this.canSend(slot) && payload.length <= out.packetBytes) {
        const row = out.appendCopy(payload);
        if (row < 0) return;
        out.fate[row] = FATE_SEAL;
        out.slot[row] = slot;
      }
      this.#messages.shift();
    }
  }

  #appendPings(now: Instant, out: PacketVector): void {
    this.#peers.timers.handleTimeout(now, this.#peers.signals, (slot) => {
      if (this.#peers.sendEntry[slot] < 0) return true;
      const row = out.appendCopy(PING_PAYLOAD);
      if (row < 0) return false;
      out.fate[row] = FATE_SEAL;
      out.slot[row] = slot;
      this.#peers.counters.pingOut(slot);
      return true;
    });
  }

  /**
   * Sends a payload of our own to a peer, an OCC message, with the next {@link handleTimeout}. At most 64 wait; what comes beyond is lost,
   * as is what cannot be sealed then. The bytes are taken over.
   */
  sendMessage(slot: number, payload: Uint8Array, now: Instant): void {
    if (this.#messages.length < MAX_WAITING_MESSAGES) this.#messages.push({ slot, payload, at: now });
  }

  /** When {@link handleTimeout} is to be called; NEVER without timers. */
  nextTimeout(): Instant {
    const own = earliest(this.#messages[0]?.at ?? NEVER, this.#seal.hasWaiting ? this.#lastSealed : NEVER);
    return earliest(own, this.#peers.timers.nextTimeout);
  }

  /** What happened that others must act on, since the last call. */
  takeSignals(): readonly DataSignal[] {
    return this.#peers.signals.take();
  }

  counters(slot: number): PeerCounters {
    this.#flows?.settle();
    return this.#peers.counters.read(slot);
  }

  /** Dropped packets of all peers, by reason; reasons that did not occur are missing. */
  drops(): Partial<Record<DataDrop, number>> {
    return nameDrops(this.#peers.drops);
  }

  #noteLone(now: Instant, vector: PacketVector): boolean {
    if (this.#flows === undefined || vector.count !== 1) return false;
    const slot = vector.slot[0];
    if (vector.fate[0] !== FATE_SEAL || vector.segments[0] !== 1 || !(slot < this.#peers.maxPeers)) return false;
    return now - this.#peers.timers.lastSent[slot] >= FLOW_SILENCE_MS && this.#flows.note(vector);
  }

  /** Before what flows of a peer work with becomes something else. */
  #leaveFlows(slot: number): void {
    this.#flows?.settle();
    this.#flows?.end(slot);
  }

  #framing({ compression, fragment }: PeerSettings): PayloadFraming | undefined {
    if (compression === undefined && fragment === undefined) return undefined;
    const start = new Uint8Array(1);
    this.#random?.fill(start);
    return new PayloadFraming({ compression, fragment, firstSequenceId: start[0] });
  }

  #encryptThenMac(
    keys: DataChannelKeys,
    prefix: Uint8Array,
    { replayWindow }: InstallOptions,
    auth: string = DEFAULT_AUTH,
    unixTime?: (now: Instant) => number,
  ): EncryptThenMac {
    if (this.#random === undefined) throw new TypeError('a key of this cipher needs a source of random bytes');
    const digest = findHmacDigest(auth);
    if (digest === undefined && auth !== 'none') throw new RangeError(`no digest ${auth}`);
    return new EncryptThenMac({ keys, digest, prefix, unixTime, replayWindow, random: this.#random });
  }

  #epochKeys(keys: DataChannelKeys, prefix: Uint8Array, { replayWindow }: InstallOptions): EpochKeys {
    const derivation = this.#epochDerivation;
    if (derivation === undefined) throw new TypeError('epoch keys need their derivation');
    return new EpochKeys({
      backend: this.#backend,
      keys,
      prefix,
      derivation,
      replayWindow,
      limits: this.#aeadLimits,
    });
  }
}

function entryOf(slot: number, keyId: number): number {
  if (!(keyId >= 0 && keyId < KEYS_PER_PEER)) throw new RangeError(`no key id ${keyId}`);
  return slot * KEYS_PER_PEER + keyId;
}

function prefixOf(keyId: number, peerId: number | undefined): Uint8Array {
  if (peerId === undefined) return Uint8Array.of(firstByte(P_DATA_V1, keyId));
  return Uint8Array.of(firstByte(P_DATA_V2, keyId), peerId >> 16, peerId >> 8, peerId);
}

function installationOf(settings: PeerSettings, options: { readonly mss?: number }): InstallOptions {
  return {
    mss: Math.min(options.mss ?? 0, 0xffff),
    replayWindow: settings.replayWindow ?? DEFAULT_REPLAY_WINDOW,
    limits: {
      renegotiateBytes: settings.renegotiateBytes || Number.POSITIVE_INFINITY,
      renegotiatePackets: settings.renegotiatePackets || Number.POSITIVE_INFINITY,
    },
  };
}
