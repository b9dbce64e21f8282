import type { ConnectionEntry, Options } from '@openvpnd/config';
import type { PeerSettings } from '@openvpnd/data-channel';
import { type KeyUse, keyUse } from '../install-keys.js';
import { peerSettings } from '../peer-settings.js';
import type { ClientCredentials } from './client-credentials.js';
import { type ImportedOptions, type ImportResult, importOptions, importUpdate } from './import-options.js';

export interface PullOptions {
  readonly options: Options;
  readonly entry: ConnectionEntry;
  /** Takes the tokens that the server pushes. */
  readonly credentials: ClientCredentials;
  /** Gets the lines about what the server pushed. */
  readonly say: (line: string) => void;
}

/**
 * What holds for one connection of a client: its own options at first, then together with those that its server has pushed. Where a method gives undefined, the
 * server has pushed what must not be: the connection must not go on.
 */
export class Pull {
  readonly #parts: PullOptions;
  #peer: PeerSettings;
  #keyUse: KeyUse;
  #imported: ImportedOptions | undefined;

  constructor(parts: PullOptions) {
    this.#parts = parts;
    this.#peer = peerSettings(parts.options);
    this.#keyUse = keyUse(parts.options, parts.entry);
  }

  /** Timers and limits of the data channel. */
  get peer(): PeerSettings {
    return this.#peer;
  }

  /** How keys are put to use from the next one on. */
  get keyUse(): KeyUse {
    return this.#keyUse;
  }

  /** Whether the server's options have come. */
  get completed(): boolean {
    return this.#imported !== undefined;
  }

  /** The first reply, all of it. */
  complete(pushed: readonly string[]): ImportedOptions | undefined {
    const imported = this.#import(pushed);
    if (imported === undefined) return undefined;
    this.#takeToken(imported);
    this.#keyUse = { ...this.#keyUse, compression: imported.compression };
    return this.#adopt(imported);
  }

  /** What comes after the first reply: only a fresh token counts. */
  more(pushed: readonly string[]): void {
    const imported = this.#import(pushed);
    if (imported !== undefined) this.#takeToken(imported);
  }

  /** PUSH_UPDATE, once {@link completed}. Keys and framing stay: only what may be updated has changed. */
  update(update: readonly string[]): ImportedOptions | undefined {
    if (this.#imported === undefined) throw new TypeError('an update before the options themselves');
    const { options, entry } = this.#parts;
    const imported = this.#told(importUpdate(options, entry, this.#imported, update));
    return imported && this.#adopt(imported);
  }

  /** Nobody pushes anything: the own options are all there is. */
  ownAlone(): ImportedOptions | undefined {
    const imported = this.#import([]);
    if (imported !== undefined) this.#peer = imported.peer;
    return imported;
  }

  #import(pushed: readonly string[]): ImportedOptions | undefined {
    const { options, entry } = this.#parts;
    return this.#told(importOptions(options, entry, pushed));
  }

  #told(result: ImportResult): ImportedOptions | undefined {
    for (const line of result.lines) this.#parts.say(line);
    return result.ok ? result.imported : undefined;
  }

  #adopt(imported: ImportedOptions): ImportedOptions {
    this.#imported = imported;
    this.#peer = imported.peer;
    return imported;
  }

  #takeToken({ pulled }: ImportedOptions): void {
    if (pulled.authToken !== undefined) this.#parts.credentials.takeToken(pulled.authToken, pulled.authTokenUser);
  }
}
