export { HttpProxyServer, type HttpProxySettings } from './http-proxy-server.js';
export { Lab, type LabAddresses, type LabNamespace, type LabNetwork, type LabNetworkSettings } from './lab.js';
export {
  addSystemDirectoriesToPath,
  findTool,
  labReady,
  missingForLab,
  missingForTun,
  missingForUserNamespace,
} from './lab-requirements.js';
export {
  type ClientSettings,
  clientConfig,
  type Identity,
  type ServerSettings,
  serverConfig,
  writeConfig,
} from './openvpn-config.js';
export {
  type ContinuousPing,
  type EchoResult,
  median,
  type PingSettings,
  ping,
  startPing,
  type ThroughputResult,
  type ThroughputSettings,
  tcpThroughput,
  udpEcho,
} from './probes.js';
export { type Delivery, type RelayCounters, RelayPath } from './relay-path.js';
export {
  type FinishedProcess,
  PATIENCE_MS,
  type ProcessEnd,
  type ProcessSettings,
  RunningProcess,
  runToEnd,
} from './running-process.js';
export { SocksProxyServer, type SocksProxySettings } from './socks-proxy-server.js';
export { startTestProxy, type TestProxySettings } from './test-proxy.js';
export {
  type CertificatePurpose,
  type CertificateSettings,
  type IssuedCertificate,
  ThrowAwayPki,
} from './throw-away-pki.js';
export { type RelaySettings, UdpRelay } from './udp-relay.js';
