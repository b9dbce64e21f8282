export { describeTlsEngine, MAX_TURNS, pump, type TlsEngineWorld, TlsParty } from './tls-engine.js';
