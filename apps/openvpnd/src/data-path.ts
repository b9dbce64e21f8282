import type { Options } from '@openvpnd/config';
import type { AeadBackend, FlowOffload } from '@openvpnd/data-channel';
import type { LinkSocket } from '@openvpnd/external-mux';
import type { ChangeCount } from '@openvpnd/memory';
import {
  type AeadChoice,
  nativeBackend,
  nativeFlows,
  type TunOffload,
  type UdpOffload,
  udpOffloadOf,
} from '@openvpnd/packet-io';

/** The variable of `setenv`, and of the environment, that turns parts of the data path off. */
const VARIABLE = 'OPENVPND_DATA_PATH';
/** What it may name. */
const WORDS = ['no-tso', 'no-uso', 'no-gso', 'no-gro', 'no-flows', 'evp'] as const;
type Word = (typeof WORDS)[number];

/**
 * What of the fast data path is to be tried; less is used where the system has less. Everything, unless `setenv OPENVPND_DATA_PATH "…"`, or the environment, says
 * otherwise: `no-tso` (the device delivers no super-packets and is given none), `no-uso` (none of UDP), `no-gso` and `no-gro` (the kernel neither splits nor gathers
 * datagrams), `no-flows` (packets that come alone are not carried by the addon itself), `evp` (no libipsec-mb). It is for tests and support; stock OpenVPN hands the variable to scripts and does nothing else with it.
 */
export class DataPath {
  /** Segmentation that the device leaves to us. */
  readonly tun: TunOffload;
  /** What the kernel splits and gathers on UDP links. */
  readonly udp: UdpOffload;
  readonly #aead: AeadChoice;
  readonly #hasFlows: boolean;

  /** Of options without a {@link dataPathProblem}. */
  constructor(options: Options) {
    const words = new Set(wordsOf(options));
    this.tun = words.has('no-tso') || !takesSuperPackets(options) ? 'none' : words.has('no-uso') ? 'tso' : 'tso+uso';
    this.udp = { gso: !words.has('no-gso'), gro: !words.has('no-gro') };
    this.#hasFlows = !words.has('no-flows');
    this.#aead = words.has('evp') ? 'evp' : 'best';
  }

  /** What seals and opens. */
  backend(): AeadBackend {
    return nativeBackend(this.#aead);
  }

  /** What carries packets that come alone; undefined: nothing. */
  flows(changes: ChangeCount): FlowOffload | undefined {
    return this.#hasFlows ? nativeFlows(changes) : undefined;
  }

  /**
   * The line of the log that says what is in use: `data path: native, tso+uso, gso/gro, aead evp`.
   *
   * @param links those that are open; a server over TCP has none yet
   */
  describe(tun: TunOffload, links: readonly LinkSocket[], backend: AeadBackend): string {
    const flows = this.#hasFlows ? '' : ', no flows';
    return `data path: native, ${tun === 'none' ? 'no tso' : tun}, ${describeLinks(links)}, aead ${backend.name}${flows}`;
  }
}

/** What all UDP links do. */
function describeLinks(links: readonly LinkSocket[]): string {
  const offloads = links.filter(({ protocol }) => protocol === 'udp').map(udpOffloadOf);
  if (offloads.length === 0) return 'tcp';
  const gso = offloads.every((one) => one.gso);
  const gro = offloads.every((one) => one.gro);
  return [...(gso ? ['gso'] : []), ...(gro ? ['gro'] : [])].join('/') || 'no gso';
}

/** What is wrong with what the variable asks for, as a line of the log. */
export function dataPathProblem(options: Options): string | undefined {
  const wrong = wordsOf(options).find((word) => !WORDS.includes(word as Word));
  if (wrong === undefined) return undefined;
  return `Options error: setenv ${VARIABLE}: ${JSON.stringify(wrong)} is none of ${WORDS.join(', ')}`;
}

/**
 * Whether the tunnel's packets may come as super-packets. `--fragment` makes several packets out of each that a super-packet stands for, more than a vector has rows for.
 * Everything else that works packet by packet (CBC, compression framings) has them split first, and a vector has rows for that.
 */
function takesSuperPackets(options: Options): boolean {
  return options.connections.every(({ fragment }) => fragment === undefined);
}

function wordsOf(options: Options): readonly string[] {
  const set = options.process.environment.findLast(({ name }) => name === VARIABLE);
  return (set?.value ?? process.env[VARIABLE] ?? '').split(/[\s,]+/).filter((word) => word !== '');
}
