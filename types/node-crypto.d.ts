// The part of node:crypto that keygen, control-wrap and data-channel may use.
// Random bytes are missing on purpose: they come only through the injected source.
declare module 'node:crypto' {
  interface Digest {
    update(data: Uint8Array): this;
    digest(): Uint8Array<ArrayBuffer>;
  }
  interface CipherTransform {
    update(data: Uint8Array): Uint8Array<ArrayBuffer>;
    final(): Uint8Array<ArrayBuffer>;
    setAutoPadding(autoPadding?: boolean): this;
    setAAD(aad: Uint8Array, options?: { plaintextLength: number }): this;
    getAuthTag(): Uint8Array<ArrayBuffer>;
    setAuthTag(tag: Uint8Array): this;
  }
  export function createHmac(algorithm: string, key: Uint8Array): Digest;
  export function createHash(algorithm: string): Digest;
  export function createCipheriv(
    algorithm: string,
    key: Uint8Array,
    iv: Uint8Array,
    options?: { authTagLength?: number },
  ): CipherTransform;
  export function createDecipheriv(
    algorithm: string,
    key: Uint8Array,
    iv: Uint8Array,
    options?: { authTagLength?: number },
  ): CipherTransform;
  export function timingSafeEqual(a: Uint8Array, b: Uint8Array): boolean;
}
