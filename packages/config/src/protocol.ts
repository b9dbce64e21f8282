/** A transport of the tunnel. */
export interface Protocol {
  readonly transport: 'udp' | 'tcp';
  /**
   * Which side of a TCP connection this is; `unspecified` for a bare `tcp` that client or server decide. UDP has sides point to point alone: a `server` waits for its peer, a
   * `client` goes to it from a port that the system chooses, `unspecified` does what the other options say.
   */
  readonly side: 'client' | 'server' | 'unspecified';
  /** Constrained to one address family by a suffix; undefined means both. */
  readonly family: 4 | 6 | undefined;
}

const PROTOCOLS: ReadonlyMap<string, Protocol> = new Map(
  ([undefined, 4, 6] as const).flatMap((family): [string, Protocol][] => {
    const suffix = family ?? '';
    return [
      [`udp${suffix}`, { transport: 'udp', side: 'unspecified', family }],
      [`tcp${suffix}-server`, { transport: 'tcp', side: 'server', family }],
      [`tcp${suffix}-client`, { transport: 'tcp', side: 'client', family }],
      [`tcp${suffix}`, { transport: 'tcp', side: 'unspecified', family }],
      [`udp${suffix}-server`, { transport: 'udp', side: 'server', family }],
      [`udp${suffix}-client`, { transport: 'udp', side: 'client', family }],
    ];
  }),
);

/** The spellings that `proto` takes. */
export const PROTOCOL_NAMES: readonly string[] = [...PROTOCOLS.keys()];

/** Parameter of `proto` and third parameter of `remote`, or undefined. */
export function parseProtocol(text: string): Protocol | undefined {
  return PROTOCOLS.get(text);
}
