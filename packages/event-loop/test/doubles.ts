import type { LinkSocket, Readiness } from '@openvpnd/external-mux';
import type { DeviceReadiness, TunDevice } from '@openvpnd/internal-mux';
import {
  ADDRESS_LINK,
  ADDRESS_WORDS,
  FATE_DROPPED,
  FATE_INNER,
  FATE_TO_DEVICE,
  FATE_TO_LINK,
  type PacketVector,
} from '@openvpnd/memory';
import { type Instant, NEVER } from '@openvpnd/sans-io';
import type { Clock, Tunnel } from '../src/index.js';

/** Time that stands until a test moves it. */
export class TestClock implements Clock {
  time: Instant = 1000;
  armedAt: Instant = NEVER;
  arms = 0;
  #fire: (() => void) | undefined;
  readonly #soon = new Set<() => void>();

  now(): Instant {
    return this.time;
  }

  arm(at: Instant, fire: () => void): void {
    this.arms += 1;
    this.armedAt = at;
    this.#fire = at === NEVER ? undefined : fire;
  }

  soon(fire: () => void): void {
    this.#soon.add(fire);
  }

  get soonCount(): number {
    return this.#soon.size;
  }

  /** Runs what was asked for soon. */
  runSoon(): void {
    const fires = [...this.#soon];
    this.#soon.clear();
    for (const fire of fires) fire();
  }

  /** Moves time, and fires the timer when it is due. */
  advanceTo(at: Instant): void {
    this.time = at;
    if (this.armedAt > at) return;
    const fire = this.#fire;
    this.armedAt = NEVER;
    this.#fire = undefined;
    fire?.();
  }
}

/** A link whose other end is the test: what waits to be received, what was sent, and how much more it takes. */
export class TestLink implements LinkSocket {
  readonly protocol = 'udp' as const;
  readonly id: number;
  readonly idCount: number;
  /** First bytes of the packets that wait. */
  readonly inbox: number[] = [];
  /** First bytes of the packets that left. */
  readonly sent: number[] = [];
  /** Packets that it takes before it is full. */
  room = Number.POSITIVE_INFINITY;
  paused = false;
  sendsRuns = false;
  /** Datagrams in each row that left. */
  readonly segments: number[] = [];
  sends = 0;
  receives = 0;
  readiness: Readiness | undefined;

  constructor(id: number, idCount = 1) {
    this.id = id;
    this.idCount = idCount;
  }

  localAddress(): Uint32Array {
    return new Uint32Array(ADDRESS_WORDS);
  }

  receiveBatch(rx: PacketVector): number {
    this.receives += 1;
    let added = 0;
    while (this.inbox.length > 0) {
      const row = rx.append();
      if (row < 0) break;
      added += 1;
      rx.bytes[rx.offset[row]] = this.inbox.shift() as number;
      rx.length[row] = 1;
      rx.addresses[row * ADDRESS_WORDS + ADDRESS_LINK] = this.id;
    }
    return added;
  }

  sendBatch(tx: PacketVector): boolean {
    this.sends += 1;
    for (let row = 0; row < tx.count; row += 1) {
      const offset = tx.addresses[row * ADDRESS_WORDS + ADDRESS_LINK] - this.id;
      if (tx.fate[row] !== FATE_TO_LINK || offset < 0 || offset >= this.idCount) continue;
      if (this.room === 0) return false;
      this.room -= 1;
      this.sent.push(tx.bytes[tx.offset[row]]);
      this.segments.push(tx.segments[row]);
      tx.fate[row] = FATE_DROPPED;
    }
    return true;
  }

  send(): void {}

  watch(readiness: Readiness): void {
    this.readiness = readiness;
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
  }

  close(): void {}

  /** What a level-triggered watcher does in one turn of the process. */
  poll(): void {
    if (!this.paused && this.inbox.length > 0) this.readiness?.readable();
  }

  makeRoom(packets: number): void {
    this.room = packets;
    this.readiness?.writable();
  }
}

/** A device whose system is the test. */
export class TestDevice implements TunDevice {
  readonly name = 'tun9';
  readonly inbox: number[] = [];
  readonly written: number[] = [];
  /** Packets that each row is. */
  segments = 1;
  writes = 0;
  paused = false;
  readiness: DeviceReadiness | undefined;

  readBatch(tx: PacketVector): number {
    let added = 0;
    while (this.inbox.length > 0) {
      const row = tx.append();
      if (row < 0) break;
      added += 1;
      tx.bytes[tx.offset[row]] = this.inbox.shift() as number;
      tx.length[row] = 1;
      tx.segments[row] = this.segments;
      tx.fate[row] = FATE_INNER;
    }
    return added;
  }

  writeBatch(rx: PacketVector): void {
    this.writes += 1;
    for (let row = 0; row < rx.count; row += 1) {
      if (rx.fate[row] !== FATE_TO_DEVICE) continue;
      this.written.push(rx.bytes[rx.offset[row]]);
      rx.fate[row] = FATE_DROPPED;
    }
  }

  watch(readiness: DeviceReadiness): void {
    this.readiness = readiness;
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
  }

  close(): void {}

  poll(): void {
    if (!this.paused && this.inbox.length > 0) this.readiness?.readable();
  }
}

/** What a tunnel of the tests does with each row. */
export type Verdict =
  | 'device'
  | 'drop'
  /** `run`: as so many datagrams of one byte, which count up. */
  | { readonly link: number; readonly run?: number };

/** Moves rows as it is told, and notes the calls. */
export class TestTunnel implements Tunnel<string> {
  readonly calls: string[] = [];
  timeout: Instant = NEVER;
  onLink: (first: number) => Verdict = () => 'device';
  onDevice: (first: number) => Verdict = () => ({ link: 1 });
  /** Packets that the next timeout sends through link 1. */
  toSend: number[] = [];
  actions: string[] = [];

  handleLinkBatch(now: Instant, rx: PacketVector): readonly string[] {
    this.calls.push(`link ${rx.count} @${now}`);
    return this.#work(rx, this.onLink);
  }

  handleDeviceBatch(now: Instant, tx: PacketVector): readonly string[] {
    this.calls.push(`device ${tx.count} @${now}`);
    return this.#work(tx, this.onDevice);
  }

  handleTimeout(now: Instant, out: PacketVector): readonly string[] {
    this.calls.push(`timeout @${now}`);
    for (const first of this.toSend.splice(0)) {
      const row = out.appendCopy(Uint8Array.of(first));
      out.fate[row] = FATE_TO_LINK;
      out.addresses[row * ADDRESS_WORDS + ADDRESS_LINK] = 1;
    }
    return this.#takeActions();
  }

  nextTimeout(): Instant {
    return this.timeout;
  }

  #work(vector: PacketVector, judge: (first: number) => Verdict): readonly string[] {
    for (let row = 0; row < vector.count; row += 1) {
      const verdict = judge(vector.bytes[vector.offset[row]]);
      if (verdict === 'device') vector.fate[row] = FATE_TO_DEVICE;
      else if (verdict === 'drop') vector.drop(row);
      else {
        vector.fate[row] = FATE_TO_LINK;
        vector.addresses[row * ADDRESS_WORDS + ADDRESS_LINK] = verdict.link;
        const { run = 1 } = verdict;
        if (run === 1) continue;
        const first = vector.bytes[vector.offset[row]];
        for (let part = 1; part < run; part += 1) vector.bytes[vector.offset[row] + part] = first + part;
        vector.length[row] = run;
        vector.segments[row] = run;
        vector.segmentBytes[row] = 1;
      }
    }
    return this.#takeActions();
  }

  #takeActions(): readonly string[] {
    const actions = this.actions;
    this.actions = [];
    return actions;
  }
}

/** So many packets, by their numbers. */
export function from(first: number, count: number): number[] {
  return Array.from({ length: count }, (_, index) => first + index);
}
