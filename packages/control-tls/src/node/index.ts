export { type NodeTlsEngineFactory, nodeTlsEngineFactory } from './node-tls-engine-factory.js';
export type { NodeTlsOptions, TlsVersion } from './node-tls-options.js';
export { type TlsOptionName, TlsOptionsError, type TlsOptionsErrorCode } from './tls-options-error.js';
export type { Exporter } from './tls-worker-messages.js';
export {
  type WorkerTlsEngineFactory,
  type WorkerTlsOptions,
  workerTlsEngineFactory,
} from './worker-tls-engine-factory.js';
