import {
  clientConfig,
  type EchoResult,
  findTool,
  Lab,
  type LabNamespace,
  ping,
  type RunningProcess,
  serverConfig,
  type ThroughputResult,
  ThrowAwayPki,
  tcpThroughput,
  udpEcho,
  writeConfig,
} from '@openvpnd/testkit/node';

/** Far more than a handshake on one machine takes, even a busy one. */
const UP_TIMEOUT_MS = 30_000;
const DOWN_TIMEOUT_MS = 10_000;
const PORT = 1194;
const DEVICE = 'tun0';

/** What one tunnel turned out to be; all measured or read from the daemons' own logs. */
export interface TunnelReport {
  /** From the client's start to its `Initialization Sequence Completed`. */
  readonly secondsToUp: number;
  readonly clientOutside: string;
  readonly serverOutside: string;
  readonly clientInside: readonly string[];
  readonly serverInside: readonly string[];
  /** `TLSv1.3` */
  readonly tlsVersion: string;
  /** `TLS_AES_256_GCM_SHA384` */
  readonly tlsCipher: string;
  /** `AES-256-GCM` */
  readonly dataCipher: string;
  readonly echo: EchoResult;
  /** How {@link TunnelReport.echo} was measured. */
  readonly echoMethod: 'ping' | 'udp';
  readonly stream: ThroughputResult;
}

/**
 * Makes keys and two namespaces, brings a tunnel up between two daemons, uses it, and takes everything down, whatever happens.
 * `daemon` is the command to which `--config FILE` is added; `tell` hears of each step.
 */
export async function runTunnel(daemon: readonly string[], tell: (step: string) => void): Promise<TunnelReport> {
  const lab = new Lab();
  // Children share the terminal's process group, but a plain `kill` reaches this process alone.
  const interrupted = new Promise<never>((_, reject) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'])
      process.once(signal, () => reject(new Error(`interrupted by ${signal}`)));
  });
  try {
    return await Promise.race([tunnelIn(lab, daemon, tell), interrupted]);
  } finally {
    await lab.close();
  }
}

async function tunnelIn(lab: Lab, daemon: readonly string[], tell: (step: string) => void): Promise<TunnelReport> {
  const pki = await ThrowAwayPki.create();
  const serverIdentity = { ca: pki.ca, ...(await pki.issue('server', 'server')) };
  const clientIdentity = { ca: pki.ca, ...(await pki.issue('client', 'client')) };
  tell('made a throw-away CA and two certificates (EC P-256)');

  const [server, client] = [await lab.namespace('server'), await lab.namespace('client')];
  const network = await lab.join([server, client]);
  const [serverOutside, clientOutside] = [network.addressesOf(server).ipv4, network.addressesOf(client).ipv4];
  tell('joined two network namespaces by a veth pair');

  const serverProcess = startDaemon(
    server,
    daemon,
    writeConfig(
      lab.directory,
      'server.conf',
      serverConfig({
        identity: serverIdentity,
        proto: 'udp4',
        port: PORT,
        device: DEVICE,
        local: serverOutside,
        networkV6: 'fd08::/64',
      }),
    ),
  );
  await serverProcess.waitForLine(/Initialization Sequence Completed/, UP_TIMEOUT_MS);
  tell(`server is up (process ${serverProcess.pid})`);

  const start = performance.now();
  const clientProcess = startDaemon(
    client,
    daemon,
    writeConfig(
      lab.directory,
      'client.conf',
      clientConfig({
        identity: clientIdentity,
        proto: 'udp4',
        port: PORT,
        device: DEVICE,
        remote: serverOutside,
      }),
    ),
  );
  await clientProcess.waitForLine(/Initialization Sequence Completed/, UP_TIMEOUT_MS);
  const secondsToUp = (performance.now() - start) / 1000;
  tell(`client is up (process ${clientProcess.pid}), the tunnel stands`);

  const [serverInside, clientInside] = [await insideAddresses(server), await insideAddresses(client)];
  const [target] = serverInside;
  if (target === undefined) throw new Error(`the server's ${DEVICE} has no address`);
  const echoMethod = findTool('ping') === undefined ? 'udp' : 'ping';
  const echo =
    echoMethod === 'ping'
      ? await ping(client, target, { count: 20, interval: 0.05 })
      : await udpEcho(client, server, target);
  if (echo.received === 0) throw new Error(`no echo through the tunnel\n${tails(serverProcess, clientProcess)}`);
  tell('sent echo requests through it');
  const stream = await tcpThroughput(client, server, target, { seconds: 3 });
  tell('sent data through it');

  const [, tlsVersion = '?', tlsCipher = '?'] = find(
    clientProcess,
    /Control Channel: (TLSv[\d.]+), cipher (?:\S+ )?([^\s,]+)/,
  );
  const [, dataCipher = '?'] = find(clientProcess, /Data Channel: [Cc]ipher '([^']+)'/);

  for (const running of [clientProcess, serverProcess]) {
    running.signal('SIGTERM');
    const { status, signal } = await running.waitForEnd(DOWN_TIMEOUT_MS);
    if (status !== 0) throw new Error(`${running.title} ended with ${signal ?? `status ${status}`}\n${running.tail()}`);
  }
  await lab.close();
  tell('stopped both, removed namespaces and keys');
  return {
    secondsToUp,
    clientOutside,
    serverOutside: `${serverOutside}:${PORT}`,
    clientInside,
    serverInside,
    tlsVersion,
    tlsCipher,
    dataCipher,
    echo,
    echoMethod,
    stream,
  };
}

function startDaemon(namespace: LabNamespace, daemon: readonly string[], config: string): RunningProcess {
  const [command, ...args] = daemon;
  return namespace.start(command as string, [...args, '--config', config], { title: `the ${namespace.name}` });
}

/** The tunnel device's global addresses, IPv4 first. */
async function insideAddresses(namespace: LabNamespace): Promise<string[]> {
  const text = await namespace.ip('-o', 'address', 'show', 'dev', DEVICE, 'scope', 'global');
  const found = [...text.matchAll(/ (inet6?) ([^/\s]+)/g)];
  return found.sort((a, b) => (a[1] as string).localeCompare(b[1] as string)).map((match) => match[2] as string);
}

function find(running: RunningProcess, pattern: RegExp): readonly string[] {
  for (const line of running.lines) {
    const match = line.match(pattern);
    if (match) return match;
  }
  return [];
}

function tails(...processes: readonly RunningProcess[]): string {
  return processes.map((running) => `${running.title}:\n${running.tail(15)}`).join('\n');
}
