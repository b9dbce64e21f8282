// The text codecs every JavaScript runtime has. Pure packages see these and no other host global:
// no timer, no process, no console, no Buffer.
declare class TextEncoder {
  encode(input?: string): Uint8Array<ArrayBuffer>;
}
declare class TextDecoder {
  constructor(label?: string, options?: { fatal?: boolean; ignoreBOM?: boolean });
  decode(input?: Uint8Array): string;
}
