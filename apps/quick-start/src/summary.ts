import type { TunnelReport } from './run-tunnel.js';

/** The report as a few aligned lines for a person. */
export function formatSummary(report: TunnelReport): string {
  const { echo, stream } = report;
  const lost = echo.sent - echo.received;
  const how = report.echoMethod === 'ping' ? 'ping' : 'UDP echo, since ping is not installed';
  const rows = [
    ['outside', `${report.clientOutside} → ${report.serverOutside} (UDP)`],
    [
      'inside',
      report.clientInside.map((address, index) => `${address} ↔ ${report.serverInside[index] ?? '-'}`).join(', '),
    ],
    ['control', `${report.tlsVersion}, ${report.tlsCipher}`],
    ['data', report.dataCipher],
    ['up after', formatMs(report.secondsToUp * 1000)],
    ['round trip', `${formatMs(echo.medianMs)}, median of ${echo.sent}, ${lost} lost (${how})`],
    ['throughput', `${stream.megabitsPerSecond.toFixed(0)} Mbit/s, one TCP stream for ${stream.seconds.toFixed(1)} s`],
  ];
  return rows.map(([name, value]) => `  ${(name as string).padEnd(12)}${value}`).join('\n');
}

function formatMs(milliseconds: number): string {
  return milliseconds < 10 ? `${milliseconds.toFixed(2)} ms` : `${milliseconds.toFixed(0)} ms`;
}
