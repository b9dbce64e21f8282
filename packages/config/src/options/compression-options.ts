/**
 * How payloads are marked as compressed or not. `stub`: `compress`, `compress stub`; `lzo`: `comp-lzo`, `compress lzo`; `lzo-stub`:
 * `comp-lzo no`. The stubs mark, and know no compressed payload.
 */
export type CompressionAlgorithm = 'stub' | 'stub-v2' | 'lzo' | 'lzo-stub' | 'lz4' | 'lz4-v2';

/** `compress`, `comp-lzo`, `allow-compression`. */
export interface CompressionOptions {
  /** Undefined: payloads are not marked at all. */
  readonly algorithm: CompressionAlgorithm | undefined;
  /** `compress migrate`: a server moves clients that mark payloads to the simplest way of it. */
  readonly migrate: boolean;
  /** Algorithms beside the stubs are refused, pushed or not: `allow-compression no`, and the default where nothing is said of compression. */
  readonly stubsOnly: boolean;
  /** Servers are told of the stubs alone. */
  readonly advertiseStubsOnly: boolean;
}

/** Whether payloads may come compressed. OpenVPN: comp_non_stub_enabled(). */
export function isStub(algorithm: CompressionAlgorithm | undefined): boolean {
  return algorithm === undefined || algorithm === 'stub' || algorithm === 'stub-v2' || algorithm === 'lzo-stub';
}
