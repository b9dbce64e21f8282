/**
 * Whether simulations run at full length: OPENVPND_LONG_SIMULATION=1 in the environment. Otherwise they are as long as a test run that people
 * start often can bear.
 */
export const LONG: boolean = (process.env.OPENVPND_LONG_SIMULATION ?? '') !== '';

/** For simulations that take longer than a usual test. */
export const PATIENT = { timeout: LONG ? 600_000 : 60_000 } as const;
