export { describeLinkSocket, type LinkSocketPair, MAX_TURNS } from './link-socket.js';
