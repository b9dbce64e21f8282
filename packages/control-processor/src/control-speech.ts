import type { Instant, Log } from '@openvpnd/sans-io';
import {
  type ControlMessage,
  emitControlMessage,
  extractControlMessages,
  parseControlMessage,
  withoutControlCharacters,
} from '@openvpnd/wire';
import type { ControlOutcome } from './control-outcome.js';
import { loggableText } from './control-text-log.js';
import type { KeyReport, TlsSession } from './tls-session.js';

/** Messages that wait for the control channel to be up. Only our own side fills it. */
const MAX_WAITING_MESSAGES = 64;

export interface ControlSpeechOptions {
  readonly log: Log;
  readonly outcome: ControlOutcome;
  /** Gets what the key state reports after a message was given to it. */
  readonly absorb: (now: Instant, session: TlsSession, report: KeyReport) => void;
  /** Gets each message of the peer, with its text. */
  readonly handleMessage: (now: Instant, session: TlsSession, text: string, message: ControlMessage) => void;
}

/** The texts on the control channels of one peer: sends ours when a channel is up for them, and reads the peer's. */
export class ControlSpeech {
  readonly #options: ControlSpeechOptions;

  constructor(options: ControlSpeechOptions) {
    this.#options = options;
  }

  /** Sends a message now or, while a key exchange is under way, when it is through. */
  say(now: Instant, session: TlsSession, text: string): void {
    const { log, absorb } = this.#options;
    const bytes = emitControlMessage(text);
    if (session.primary.active) {
      const { commonName } = session.primary;
      log.info('control.sent', { text: loggableText(text), commonName });
      absorb(now, session, { keyState: session.primary, events: session.primary.sendRecord(now, bytes) });
    } else if (session.waiting.length < MAX_WAITING_MESSAGES) {
      session.waiting.push(text);
    } else {
      log.warn('control.queue-full', {});
    }
  }

  /** Sends a keyword and, if there is one, a text from elsewhere behind it. */
  sayWith(now: Instant, session: TlsSession, keyword: string, text: string | undefined): void {
    this.say(now, session, text === undefined ? keyword : `${keyword},${withoutControlCharacters(text)}`);
  }

  /** The channel is up: what has waited for it goes out. */
  sayWaiting(now: Instant, session: TlsSession): void {
    for (const text of session.waiting.splice(0)) this.say(now, session, text);
  }

  /** A TLS record of control messages. */
  handleRecord(now: Instant, session: TlsSession, bytes: Uint8Array): void {
    const { log, outcome, handleMessage } = this.#options;
    const { messages, dropped } = extractControlMessages(bytes);
    if (dropped > 0) log.warn('control.invalid-characters', { dropped });
    for (const text of messages) {
      if (outcome.over) return;
      if (text === '') continue;
      log.debug('control.received', { text: loggableText(text).slice(0, 256) });
      handleMessage(now, session, text, parseControlMessage(text));
    }
  }
}
