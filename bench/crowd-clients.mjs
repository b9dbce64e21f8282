// Many clients of one server in one process: node bench/crowd-clients.mjs --config FILE --count N [--at-once M] [--devices]
//
// Prints one line of JSON when all are connected, `{"connected":N,"seconds":S,"perSecond":R,"firstMs":…,"medianMs":…,"lastMs":…}`, and stays until SIGTERM.
// At most M of them are on their way at a time (all when absent). With --devices each has a tun device, tun0 and so on, with the address that it was given, and
// a network address of the server's that is behind that device alone: 10.9.0.1 and so on. These are then in the JSON, as `targets`.

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { isIPv6 } from 'node:net';
import { parseArgs } from 'node:util';
import { ClientCredentials } from '../apps/openvpnd/dist/client/client-credentials.js';
import { composeClient } from '../apps/openvpnd/dist/client/compose-client.js';
import { controlWraps } from '../apps/openvpnd/dist/control-wraps.js';
import { DataPath } from '../apps/openvpnd/dist/data-path.js';
import { systemRandom } from '../apps/openvpnd/dist/host/system-random.js';
import { tlsEngines } from '../apps/openvpnd/dist/tls-engines.js';
import { tunnelVector } from '../apps/openvpnd/dist/tunnel-vector.js';
import { parseConfigText } from '../packages/config/dist/index.js';
import { EventLoop } from '../packages/event-loop/dist/index.js';
import { nodeClock } from '../packages/event-loop/dist/node/index.js';
import { linkAddress } from '../packages/external-mux/dist/index.js';
import { ADDRESS_LINK } from '../packages/memory/dist/index.js';
import * as packetIo from '../packages/packet-io/dist/index.js';

const { values } = parseArgs({
  options: {
    config: { type: 'string' },
    count: { type: 'string' },
    'at-once': { type: 'string' },
    devices: { type: 'boolean', default: false },
  },
});
const count = Number(values.count);
const atOnce = Number(values['at-once'] ?? count);
const parsed = parseConfigText(readFileSync(values.config, 'utf8'), values.config);
if (!parsed.ok) throw new Error(parsed.errors.join('\n'));
const { options } = parsed;
const [entry] = options.connections;
const { host, port } = entry.remote;
const engines = tlsEngines(options);
const wraps = controlWraps(options, entry);
const dataPath = new DataPath(options);
const backend = dataPath.backend();
const log = { debug() {}, info() {}, warn() {}, error() {} };
const epoch = Date.now() - nodeClock().now();

/** When each was connected, in milliseconds from its own start. */
const took = [];
/** What is behind the device of each, with --devices. */
const targets = [];
const began = performance.now();
let started = 0;
while (started < Math.min(count, atOnce)) start();

function start() {
  if (started === count) return;
  started += 1;
  const since = performance.now();
  const clock = nodeClock();
  const number = started - 1;
  const link = packetIo.openUdpLink(values.devices ? { id: 1, offload: dataPath.udp } : { id: 1 });
  const remote = linkAddress({ family: isIPv6(host) ? 6 : 4, address: host, port }, link.id);
  const { tunnel } = composeClient({
    options,
    entry,
    addresses: [remote],
    raceDelayMs: 0,
    engines,
    wraps,
    credentials: new ClientCredentials(undefined),
    backend,
    random: systemRandom,
    unixTime: (now) => Math.floor((epoch + now) / 1000),
    wake: () => loop.wake(),
    sayImported() {},
    log,
  });
  const execute = (action) => {
    if (action.type === 'send-control' && action.to[ADDRESS_LINK] === link.id) link.send(action.packet, action.to);
    else if (action.type === 'configure') {
      const milliseconds = performance.now() - since;
      if (values.devices) loop.setDevice(device(number, action.imported.plan));
      connected(milliseconds);
    } else if (action.type === 'signal') throw new Error(`a client has ended: ${action.info.text}`);
  };
  const loop = new EventLoop({
    clock,
    tunnel,
    vector: { ...tunnelVector(entry.tunMtu), capacity: 4 },
    ...(values.devices ? { linkVector: packetIo.LINK_VECTOR, deviceVector: packetIo.DEVICE_VECTOR } : {}),
    execute,
    linkLost: (_link, error) => {
      throw error;
    },
    deviceLost() {},
  });
  loop.addLink(link);
  for (const action of tunnel.start(clock.now())) execute(action);
  loop.wake();
}

/** The device of a client, up, with its address and the way to the server. */
function device(number, plan) {
  const opened = packetIo.openTun({ name: `tun${number}`, offload: dataPath.tun });
  const { local } = plan.ifconfig;
  const last = number + 1;
  const target = `10.9.${last >> 8}.${last & 255}`;
  const ip = (...args) => execFileSync('ip', args);
  ip('address', 'add', `${local}/32`, 'dev', opened.name);
  ip('link', 'set', opened.name, 'up', 'mtu', String(plan.tunMtu), 'txqueuelen', '500');
  ip('route', 'add', target, 'dev', opened.name, 'src', local);
  targets.push(target);
  return opened;
}

function connected(milliseconds) {
  took.push(milliseconds);
  start();
  if (took.length < count) return;
  const seconds = (performance.now() - began) / 1000;
  took.sort((a, b) => a - b);
  const at = (part) => Math.round(took[Math.min(took.length - 1, Math.floor(took.length * part))]);
  const summary = {
    connected: count,
    seconds,
    perSecond: count / seconds,
    firstMs: at(0),
    medianMs: at(0.5),
    lastMs: at(1),
    ...(values.devices ? { targets } : {}),
  };
  process.stdout.write(`${JSON.stringify(summary)}\n`);
}
