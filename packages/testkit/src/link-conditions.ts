/** What one direction of a simulated path does to packets. Probabilities are 0 … 1 for each packet, times in virtual milliseconds. */
export interface LinkConditions {
  /** A packet takes this long. */
  readonly delayMs: number;
  /** And up to this much longer, evenly spread; packets may overtake each other by it. */
  readonly jitterMs: number;
  /** A packet vanishes. */
  readonly loss: number;
  /** A burst of loss begins with this packet … */
  readonly burst: number;
  /** … and lasts this long. */
  readonly burstMs: number;
  /** A packet arrives twice, the copy with a delay of its own. */
  readonly duplicate: number;
  /** A packet is held back … */
  readonly reorder: number;
  /** … by this much, so that later ones overtake it. */
  readonly reorderMs: number;
  /** One bit of a packet is flipped. */
  readonly corrupt: number;
  /** Larger packets vanish, as on a path whose ICMP is filtered. */
  readonly mtuBytes: number;
}

/** A path without faults, one millisecond long. */
export const PERFECT: LinkConditions = {
  delayMs: 1,
  jitterMs: 0,
  loss: 0,
  burst: 0,
  burstMs: 0,
  duplicate: 0,
  reorder: 0,
  reorderMs: 0,
  corrupt: 0,
  mtuBytes: 65_507,
};

/** A path on which nothing arrives. */
export const BLACKHOLE: LinkConditions = { ...PERFECT, loss: 1 };
