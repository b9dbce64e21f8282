export type { PeerCertificate, TlsEngine, TlsEngineFactory, TlsEvent } from './ports.js';
