import { parseInnerAddress } from '@openvpnd/internal-mux';
import { innerUdp, innerUdpPayload, type SimTun, type VirtualClock } from '@openvpnd/testkit';

const MAGIC = 0x51e0;
const HEADER_BYTES = 8;
const MAX_SEQUENCE = 0xffffffff;

/** Where flows begin and end. */
export interface TrafficHost {
  readonly device: SimTun;
  /** Its addresses in the tunnel at this moment. */
  readonly addresses: () => { readonly ipv4: string | undefined; readonly ipv6: string | undefined };
}

/** Numbered packets from one host to another. */
export class Flow {
  readonly id: number;
  readonly from: string;
  readonly to: string;
  /** Numbers that were sent, in order of time: the index is the number. */
  readonly sentAt: number[] = [];
  readonly arrived: Set<number> = new Set();
  duplicates = 0;
  /** Arrived behind a later one. */
  late = 0;
  #latest = -1;
  readonly stop: () => void;

  constructor(id: number, from: string, to: string, stop: () => void) {
    this.id = id;
    this.from = from;
    this.to = to;
    this.stop = stop;
  }

  get sent(): number {
    return this.sentAt.length;
  }

  get lost(): number {
    return this.sent - this.arrived.size;
  }

  /** Packets of those sent from that instant on that have arrived, as a share. */
  shareSince(at: number): number {
    const sent = this.sentAt.flatMap((when, sequence) => (when >= at ? [sequence] : []));
    return sent.length === 0 ? 1 : sent.filter((sequence) => this.arrived.has(sequence)).length / sent.length;
  }

  handleArrival(sequence: number): void {
    if (this.arrived.has(sequence)) {
      this.duplicates += 1;
      return;
    }
    this.arrived.add(sequence);
    if (sequence < this.#latest) this.late += 1;
    else this.#latest = sequence;
  }
}

/** How a flow sends. */
export interface FlowSettings {
  readonly intervalMs: number;
  readonly family?: 4 | 6;
  readonly payloadBytes?: number;
}

/** The inner packets of a simulation: who sent which, and that each arrived where it belongs, whole, and once. */
export class Traffic {
  /** Packets that reached a host for which they were not meant, or that nobody sent. */
  misdelivered = 0;
  /** Packets whose content changed on the way. */
  damaged = 0;
  readonly flows: Flow[] = [];
  readonly #clock: VirtualClock;
  readonly #hosts: Map<string, TrafficHost> = new Map();

  constructor(clock: VirtualClock) {
    this.#clock = clock;
  }

  addHost(name: string, host: TrafficHost): void {
    this.#hosts.set(name, host);
  }

  host(name: string): TrafficHost {
    const host = this.#hosts.get(name);
    if (host === undefined) throw new RangeError(`no host ${name}`);
    return host;
  }

  /** Sends a numbered packet at the end of each interval from now on, as long as both ends have an address. */
  flow(from: string, to: string, settings: FlowSettings): Flow {
    const id = this.flows.length;
    let cancel = (): void => {};
    const flow = new Flow(id, from, to, () => cancel());
    this.flows.push(flow);
    const plan = (): void => {
      cancel = this.#clock.schedule(this.#clock.now() + settings.intervalMs, () => {
        this.#send(flow, settings);
        plan();
      });
    };
    plan();
    return flow;
  }

  /** A flow each way. */
  between(a: string, b: string, settings: FlowSettings): readonly [Flow, Flow] {
    return [this.flow(a, b, settings), this.flow(b, a, settings)];
  }

  /** A device wrote a packet. */
  handleArrival(host: string, packet: Uint8Array): void {
    const payload = innerUdpPayload(packet);
    if (payload === undefined || payload.length < HEADER_BYTES) {
      this.misdelivered += 1;
      return;
    }
    const view = new DataView(payload.buffer, payload.byteOffset, payload.length);
    const flow = this.flows[view.getUint16(2)];
    const sequence = view.getUint32(4);
    if (view.getUint16(0) !== MAGIC || flow === undefined || sequence > MAX_SEQUENCE || sequence >= flow.sent) {
      this.damaged += 1;
      return;
    }
    if (flow.to !== host) {
      this.misdelivered += 1;
      return;
    }
    const expected = payloadOf(flow.id, sequence, payload.length);
    if (payload.some((byte, index) => byte !== expected[index])) this.damaged += 1;
    flow.handleArrival(sequence);
  }

  /** All flows end. */
  stop(): void {
    for (const flow of this.flows) flow.stop();
  }

  get lost(): number {
    return this.flows.reduce((sum, flow) => sum + flow.lost, 0);
  }

  get sent(): number {
    return this.flows.reduce((sum, flow) => sum + flow.sent, 0);
  }

  /** What must never happen, on no network: packets doubled, damaged, or with the wrong host. */
  get faults(): { readonly duplicates: number; readonly damaged: number; readonly misdelivered: number } {
    const duplicates = this.flows.reduce((sum, flow) => sum + flow.duplicates, 0);
    return { duplicates, damaged: this.damaged, misdelivered: this.misdelivered };
  }

  #send(flow: Flow, { family = 4, payloadBytes = 64 }: FlowSettings): void {
    const from = this.#hosts.get(flow.from);
    const source = addressOf(from, family);
    const destination = addressOf(this.#hosts.get(flow.to), family);
    if (from === undefined || source === undefined || destination === undefined) return;
    const sequence = flow.sent;
    flow.sentAt.push(this.#clock.now());
    const payload = payloadOf(flow.id, sequence, payloadBytes);
    from.device.inject(innerUdp({ source: [...source], destination: [...destination], payload }));
  }
}

/** No faults. */
export const NO_FAULTS: Traffic['faults'] = { duplicates: 0, damaged: 0, misdelivered: 0 };

function addressOf(host: TrafficHost | undefined, family: 4 | 6): Uint8Array | undefined {
  const addresses = host?.addresses();
  const text = family === 4 ? addresses?.ipv4 : addresses?.ipv6;
  return text === undefined ? undefined : parseInnerAddress(text);
}

function payloadOf(flow: number, sequence: number, length: number): Uint8Array {
  const payload = new Uint8Array(length);
  const view = new DataView(payload.buffer);
  view.setUint16(0, MAGIC);
  view.setUint16(2, flow);
  view.setUint32(4, sequence);
  for (let index = HEADER_BYTES; index < length; index += 1) payload[index] = flow * 7 + sequence * 13 + index;
  return payload;
}
