import type { TlsEvent } from '../ports.js';
import type { NodeTlsOptions } from './node-tls-options.js';

/** A label of RFC 5705 and how many bytes are wanted under it. */
export interface Exporter {
  readonly label: string;
  /** Bytes, 1 … 65535. */
  readonly length: number;
}

/** What a TLS worker is started with. */
export interface TlsWorkerData {
  readonly options: NodeTlsOptions;
  readonly exporters: readonly Exporter[];
}

/** From the owner of an engine to the worker in which it lives. */
export type TlsEngineCommand =
  | { readonly type: 'create'; readonly id: number; readonly role: 'client' | 'server' }
  | { readonly type: 'start'; readonly id: number }
  | { readonly type: 'ciphertext'; readonly id: number; readonly bytes: Uint8Array }
  | { readonly type: 'plaintext'; readonly id: number; readonly bytes: Uint8Array }
  | { readonly type: 'close'; readonly id: number };

/** What the worker gets: commands of a turn, see TlsCommandWriter, or other options for the engines that come. */
export type TlsWorkerMessage = { readonly commands: Uint8Array } | { readonly options: NodeTlsOptions };

/** From a worker to the owner of an engine: what happened since the last report. It travels as TlsReportWriter writes it. */
export interface TlsReport {
  readonly id: number;
  readonly events: readonly TlsEvent[];
  /** Bytes of ciphertext that the engine has taken so far. */
  readonly consumed: number;
  /** Plaintexts that have become ciphertext so far; that ciphertext is in this report or an earlier one. */
  readonly sealed: number;
  /** Beside 'secure': keying material, one for each exporter; undefined where the TLS version has none. */
  readonly exported?: readonly (Uint8Array | undefined)[];
}
