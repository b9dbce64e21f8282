export { describeLinkFactory, type LinkFactoryWorld } from './link-factory.js';
export { describeLinkSocket, type LinkSocketPair, MAX_TURNS } from './link-socket.js';
