export { nodeClock } from './node-clock.js';
