export {
  type Endpoint,
  endpointOf,
  formatEndpoint,
  formatLinkAddress,
  linkAddress,
  parseEndpoint,
  parseLinkAddress,
  sameLinkAddress,
} from './endpoint.js';
export type { LinkSocket, Readiness } from './ports.js';
