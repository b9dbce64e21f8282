export { describeTunDevice, MAX_TURNS, type TunDeviceWorld } from './tun-device.js';
