// The program of a TLS worker: it holds the engines that its owner creates in it, and tells what happens to them.
import { parentPort, workerData } from 'node:worker_threads';
import { assertNever } from '@openvpnd/sans-io';
import type { TlsEngine } from '../ports.js';
import { nodeTlsEngineFactory } from './node-tls-engine-factory.js';
import { readCommands, TlsReportWriter } from './tls-worker-frames.js';
import type { Exporter, TlsEngineCommand, TlsWorkerData, TlsWorkerMessage } from './tls-worker-messages.js';
import { yieldProcessor } from './yield-processor.js';

/** Ciphertext that gives no event is told of when it has come to so many bytes. */
const SILENT_BYTES = 8192;

interface Hosted {
  readonly engine: TlsEngine;
  consumed: number;
  written: number;
  sealed: number;
  toldConsumed: number;
}

yieldProcessor();
const { options, exporters } = workerData as TlsWorkerData;
const factory = nodeTlsEngineFactory(options);
const hosted = new Map<number, Hosted>();

/** What is to be told when the engines that are at work have come to an end of it. */
const reports = new TlsReportWriter();

parentPort?.on('message', (message: TlsWorkerMessage) => {
  if ('options' in message) factory.replaceOptions(message.options);
  else for (const command of readCommands(message.commands)) execute(command);
});

function execute(command: TlsEngineCommand): void {
  if (command.type === 'create') {
    create(command.id, command.role);
    return;
  }
  const host = hosted.get(command.id);
  if (host === undefined) return;
  switch (command.type) {
    case 'start':
      host.engine.start();
      return;
    case 'ciphertext':
      host.consumed += command.bytes.length;
      host.engine.writeCiphertext(command.bytes);
      if (host.consumed - host.toldConsumed >= SILENT_BYTES) report(command.id, host);
      return;
    case 'plaintext':
      host.written += 1;
      host.engine.writePlaintext(command.bytes);
      return;
    case 'close':
      hosted.delete(command.id);
      host.engine.close();
      return;
    default:
      assertNever(command);
  }
}

function create(id: number, role: 'client' | 'server'): void {
  const engine = factory.create({ role, wake: () => report(id, host) });
  const host: Hosted = { engine, consumed: 0, written: 0, sealed: 0, toldConsumed: 0 };
  hosted.set(id, host);
}

function report(id: number, host: Hosted): void {
  const { engine } = host;
  const events = engine.takeEvents();
  const secure = events.some(({ type }) => type === 'secure');
  host.toldConsumed = host.consumed;
  if (!engine.plaintextPending()) host.sealed = host.written;
  else if (hosted.has(id)) setImmediate(report, id, host);
  if (reports.isEmpty) setImmediate(tell);
  reports.add({
    id,
    events,
    consumed: host.consumed,
    sealed: host.sealed,
    ...(secure ? { exported: exporters.map((exporter) => exportFrom(engine, exporter)) } : {}),
  });
}

function tell(): void {
  const told = reports.take();
  parentPort?.postMessage(told);
  // Keying material may be in it; the owner has its own copy.
  told.fill(0);
}

function exportFrom(engine: TlsEngine, { label, length }: Exporter): Uint8Array | undefined {
  try {
    return engine.exportKeyingMaterial(label, length);
  } catch {
    return undefined;
  }
}
