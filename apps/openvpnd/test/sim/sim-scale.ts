import { vi } from 'vitest';

/**
 * Whether simulations run at full length: OPENVPND_LONG_SIMULATION=1 in the environment. Otherwise they are as long as a test run that people
 * start often can bear.
 */
export const LONG: boolean = (process.env.OPENVPND_LONG_SIMULATION ?? '') !== '';

// Virtual hours take real seconds, and more of them where others use the machine too.
vi.setConfig({ testTimeout: LONG ? 900_000 : 60_000 });
