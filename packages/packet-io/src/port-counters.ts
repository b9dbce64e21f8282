import { type NativeIndex, nativeAddon, PORT_COUNTERS } from './native-addon.js';

/** What a native link or device has counted since it was opened. */
export interface PortCounters {
  /** Errors that the system reported on receipt and that were swallowed (ECONNREFUSED and its like). */
  readonly receiveErrors: number;
  /** Received packets that were dropped: empty, or larger than a row. */
  readonly receiveDropped: number;
  /** Packets that the system refused for good. */
  readonly sendErrors: number;
  /** Single (control) packets that were dropped because the socket was full. */
  readonly sendFull: number;
  /** Times the socket was full and the rest of a vector had to wait. */
  readonly full: number;
}

/** Reads the counters of an open port. */
export function readPortCounters(port: NativeIndex): PortCounters {
  const values = new Float64Array(PORT_COUNTERS.length);
  nativeAddon().readCounters(port, values);
  const [receiveErrors, receiveDropped, sendErrors, sendFull, full] = values;
  return { receiveErrors, receiveDropped, sendErrors, sendFull, full };
}
