export { FakeTls, FakeTlsFactory, type FakeTlsOptions, type FakeTlsRefusal, fakeCertificate } from './fake-tls.js';
export { type InnerPacket, innerUdp, innerUdpPayload } from './inner-packet.js';
export { BLACKHOLE, type LinkConditions, PERFECT } from './link-conditions.js';
export { SeededRandom } from './seeded-random.js';
export { SIM_RECEIVE_QUEUE_PACKETS, SimLink, type SimLinkCounters, type SimLinkHost } from './sim-link.js';
export { SimNetwork, type SimNetworkCounters, type Tap } from './sim-network.js';
export { SIM_DEVICE_QUEUE_PACKETS, SimTun, type SimTunCounters } from './sim-tun.js';
export { MAX_EVENTS_PER_INSTANT, VirtualClock } from './virtual-clock.js';
