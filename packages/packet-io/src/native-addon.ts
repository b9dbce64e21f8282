import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { VECTOR_COLUMNS } from '@openvpnd/memory';

/** Index of something that the addon holds: a vector, a key, a port. A negative number in its place is -errno. */
export type NativeIndex = number;

/** What a port's callback is told: enum pio_event in native/port.c. */
export const EVENT_READABLE = 1;
export const EVENT_WRITABLE = 2;
export const EVENT_FAILED = 3;

/** Order of the counters of a port: enum pio_counter in native/packet_io.h. */
export const PORT_COUNTERS = ['receiveErrors', 'receiveDropped', 'sendErrors', 'sendFull', 'full'] as const;

/** The functions of the addon, as native/*.c define them. Nothing outside this package calls them. */
export interface NativeAddon {
  readonly columns: string;
  errorText(errno: number): string;

  registerVector(
    bytes: Uint8Array,
    table: Uint32Array,
    addresses: Uint32Array,
    capacity: number,
    headroom: number,
    packetBytes: number,
    strideBytes: number,
  ): NativeIndex;
  forgetVector(vector: NativeIndex): void;

  multiBuffer(): { readonly text: string; readonly usable: boolean };
  installKey(
    cipher: string,
    key: Uint8Array,
    implicitIv: Uint8Array,
    prefix: Uint8Array,
    seals: boolean,
    epoch: boolean,
    multiBuffer: boolean,
  ): NativeIndex;
  retireKey(key: NativeIndex): void;
  sealBatch(vector: NativeIndex, count: number): void;
  openBatch(vector: NativeIndex, count: number): void;

  watchPort(port: NativeIndex, callback: (event: number, errno: number) => void): void;
  setReading(port: NativeIndex, reading: boolean): void;
  closePort(port: NativeIndex): void;
  readCounters(port: NativeIndex, counters: Float64Array): void;

  flowSetUp(log: Float64Array, changes: Uint32Array): void;
  flowReceive(
    vector: NativeIndex,
    key: NativeIndex,
    tag: number,
    idHigh: number,
    idLow: number,
    packets: number,
  ): number;
  flowNote(vector: NativeIndex): boolean;
  flowSend(vector: NativeIndex, key: NativeIndex, tag: number, idHigh: number, idLow: number, packets: number): number;
  flowRevoke(place: number, tag: number): number;

  tunOpen(path: string): NativeIndex;
  tunAttach(port: NativeIndex, name: string, vnet: boolean): string | number;
  tunOffload(port: NativeIndex, level: 0 | 1 | 2): number;
  tunPersist(port: NativeIndex, persist: boolean): number;
  /** Blocks the thread, for less than a second. */
  tunHoldOff(microseconds: number): void;
  tunRead(port: NativeIndex, vector: NativeIndex, count: number): number;
  tunGather(vector: NativeIndex, count: number, udp: boolean, out: Uint8Array): number;
  tunWrite(port: NativeIndex, vector: NativeIndex, count: number): void;

  findUser(name: string): number;
  findGroup(name: string): number;
  keepCapabilities(): number;
  confineToNetAdmin(): number;
  passNetAdmin(whether: boolean): number;

  socketOpen(stream: boolean, family: 4 | 6, v6only: boolean): number;
  socketBind(fd: number, address: string, portNumber: number, scope: number): number;
  socketBuffer(fd: number, send: boolean, bytes: number, force: boolean): number;
  socketMark(fd: number, mark: number): number;
  socketDevice(fd: number, name: string): number;
  socketMtuDiscovery(fd: number, mode: number): number;
  socketDescribe(fd: number): string | number;
  socketDuplicate(fd: number): number;
  socketInherit(fd: number, whether: boolean): number;
  socketClose(fd: number): void;
  udpAdopt(fd: number, link: number): NativeIndex;
  udpMultihome(port: NativeIndex, sameDevice: boolean): number;

  udpLocalAddress(port: NativeIndex, words: Uint32Array): number;
  udpOffload(port: NativeIndex, gso: boolean, gro: boolean): number;
  udpReceive(port: NativeIndex, vector: NativeIndex, count: number): number;
  udpSend(port: NativeIndex, vector: NativeIndex, count: number): boolean;
  udpSendOne(port: NativeIndex, packet: Uint8Array, address: Uint32Array): void;
}

let loaded: NativeAddon | undefined;

/**
 * The addon, loaded at its first use: the prebuilt one of the package when it fits this machine, else the one that
 * `build` compiled.
 *
 * @throws Error with code ERR_PACKET_IO_MISSING when there is none, or it does not load
 */
export function nativeAddon(): NativeAddon {
  if (loaded !== undefined) return loaded;
  const file = findAddon();
  if (file === undefined) {
    const script = fileURLToPath(new URL('../scripts/build-addon.mjs', import.meta.url));
    throw missing(`it has not been built; \`node ${script}\` does it and needs a C compiler`);
  }
  let addon: NativeAddon;
  try {
    addon = createRequire(import.meta.url)(file) as NativeAddon;
  } catch (error) {
    throw missing(`${file} does not load`, error);
  }
  if (addon.columns !== VECTOR_COLUMNS.join(',')) {
    throw missing(`${file} was built for another layout of packet vectors: build it again`);
  }
  loaded = addon;
  return addon;
}

/** Whether the addon can be had here, without loading it. */
export function hasNativeAddon(): boolean {
  return loaded !== undefined || findAddon() !== undefined;
}

function findAddon(): string | undefined {
  const platform = `${process.platform}-${process.arch}`;
  const prebuilds = fileURLToPath(new URL(`../prebuilds/${platform}/`, import.meta.url));
  if (existsSync(prebuilds)) {
    // Names as prebuildify gives them: `node.napi.glibc.node`.
    const candidates = readdirSync(prebuilds).filter((name) => name.endsWith('.node'));
    const libc = usesGlibc() ? '.glibc.' : '.musl.';
    const file =
      candidates.find((name) => name.includes(libc)) ?? candidates.find((name) => !/\.(glibc|musl)\./.test(name));
    if (file !== undefined) return prebuilds + file;
  }
  const built = fileURLToPath(new URL(`../build/${platform}/packet_io.node`, import.meta.url));
  return existsSync(built) ? built : undefined;
}

/** By what is mapped into this process, where the other C library of Linux shows by its name. The process report tells it too, in fifty times as long. */
function usesGlibc(): boolean {
  return !readFileSync('/proc/self/maps', 'utf8').includes('/ld-musl-');
}

function missing(reason: string, cause?: unknown): Error {
  return Object.assign(new Error(`the native addon is not available: ${reason}`, { cause }), {
    code: 'ERR_PACKET_IO_MISSING',
  });
}
