import { openTun } from '@openvpnd/packet-io';
import { DataPath } from '../data-path.js';
import type { Run } from '../run.js';
import { TunnelInterface } from './tunnel-interface.js';

/** The interface of a run, with the native device. */
export function nativeInterface(run: Run): TunnelInterface {
  const { device, routes } = run.options;
  return new TunnelInterface({
    open: () =>
      openTun({
        name: device.name,
        offload: new DataPath(run.options).tun,
        ...(device.node === undefined ? {} : { devNode: device.node }),
      }),
    txQueueLength: device.txQueueLength,
    ifconfigNoexec: device.ifconfigNoexec,
    routeNoexec: routes.noexec,
    say: (line) => run.log.say(1, line),
  });
}
