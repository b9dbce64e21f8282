/** What passed through one peer's data channel since it was added. */
export interface PeerCounters {
  /** Authentic packets and their bytes on the wire, without IP and UDP headers; pings and replays too. */
  readonly receivedPackets: number;
  readonly receivedBytes: number;
  /** Sealed packets and their bytes on the wire; pings too. */
  readonly sentPackets: number;
  readonly sentBytes: number;
  /** Payload that went up to the device, and that came from there. */
  readonly payloadBytesIn: number;
  readonly payloadBytesOut: number;
  /** Keep-alives. */
  readonly pingsIn: number;
  readonly pingsOut: number;
  /** Packets whose tag was wrong, and authentic ones that the replay window refused. */
  readonly notAuthentic: number;
  readonly replayed: number;
  /** The largest packet of each direction, in bytes on the wire without IP and UDP headers: what OCC's MTU test asks for. */
  readonly largestReceived: number;
  readonly largestSent: number;
}

const RECEIVED_PACKETS = 0;
const RECEIVED_BYTES = 1;
const SENT_PACKETS = 2;
const SENT_BYTES = 3;
const PAYLOAD_IN = 4;
const PAYLOAD_OUT = 5;
const PINGS_IN = 6;
const PINGS_OUT = 7;
const NOT_AUTHENTIC = 8;
const REPLAYED = 9;
const LARGEST_RECEIVED = 10;
const LARGEST_SENT = 11;
const WIDTH = 12;

/** The counters of all peers, in one array. */
export class CounterTable {
  readonly #counts: Float64Array;

  constructor(maxPeers: number) {
    this.#counts = new Float64Array(maxPeers * WIDTH);
  }

  clear(slot: number): void {
    this.#counts.fill(0, slot * WIDTH, (slot + 1) * WIDTH);
  }

  received(slot: number, bytes: number): void {
    this.#counts[slot * WIDTH + RECEIVED_PACKETS] += 1;
    this.#counts[slot * WIDTH + RECEIVED_BYTES] += bytes;
    if (bytes > this.#counts[slot * WIDTH + LARGEST_RECEIVED]) this.#counts[slot * WIDTH + LARGEST_RECEIVED] = bytes;
  }

  sent(slot: number, packets: number, bytes: number): void {
    this.#counts[slot * WIDTH + SENT_PACKETS] += packets;
    this.#counts[slot * WIDTH + SENT_BYTES] += bytes;
    const largest = packets === 1 ? bytes : Math.ceil(bytes / packets);
    if (largest > this.#counts[slot * WIDTH + LARGEST_SENT]) this.#counts[slot * WIDTH + LARGEST_SENT] = largest;
  }

  payloadIn(slot: number, bytes: number): void {
    this.#counts[slot * WIDTH + PAYLOAD_IN] += bytes;
  }

  payloadOut(slot: number, bytes: number): void {
    this.#counts[slot * WIDTH + PAYLOAD_OUT] += bytes;
  }

  pingIn(slot: number): void {
    this.#counts[slot * WIDTH + PINGS_IN] += 1;
  }

  pingOut(slot: number): void {
    this.#counts[slot * WIDTH + PINGS_OUT] += 1;
  }

  notAuthentic(slot: number): void {
    this.#counts[slot * WIDTH + NOT_AUTHENTIC] += 1;
  }

  replayed(slot: number): void {
    this.#counts[slot * WIDTH + REPLAYED] += 1;
  }

  read(slot: number): PeerCounters {
    const base = slot * WIDTH;
    const counts = this.#counts;
    return {
      receivedPackets: counts[base + RECEIVED_PACKETS],
      receivedBytes: counts[base + RECEIVED_BYTES],
      sentPackets: counts[base + SENT_PACKETS],
      sentBytes: counts[base + SENT_BYTES],
      payloadBytesIn: counts[base + PAYLOAD_IN],
      payloadBytesOut: counts[base + PAYLOAD_OUT],
      pingsIn: counts[base + PINGS_IN],
      pingsOut: counts[base + PINGS_OUT],
      notAuthentic: counts[base + NOT_AUTHENTIC],
      replayed: counts[base + REPLAYED],
      largestReceived: counts[base + LARGEST_RECEIVED],
      largestSent: counts[base + LARGEST_SENT],
    };
  }
}
