import { parseConfigText } from '@openvpnd/config';
import type { ControlSettings } from '@openvpnd/control-processor';
import { describe, expect, test } from 'vitest';
import { controlSettings, OptionValueError } from '../src/control-settings.js';

function settings(...lines: readonly string[]): ControlSettings {
  const text = ['client', 'dev tun', 'remote 192.0.2.1', 'ca ca', 'cert cert', 'key key', ...lines].join('\n');
  const result = parseConfigText(text, 'test.conf');
  if (!result.ok) throw new Error(result.errors.join('\n'));
  if (result.standAlone !== undefined) throw new Error(result.standAlone);
  const { options } = result;
  const [entry] = options.connections;
  if (entry === undefined) throw new Error('no connection');
  return controlSettings(options, entry);
}

describe('ciphers and digests', () => {
  test('the options string names the digest as OpenSSL does', () => {
    expect(settings('auth sha256').optionsString).toContain(',auth SHA256,');
    expect(settings('auth rsa-sha512').optionsString).toContain(',auth SHA512,');
    expect(settings('auth none').optionsString).toContain(',auth [null-digest],');
  });

  test('a digest that the data channel does not know passes with AEAD ciphers alone', () => {
    expect(settings('auth SHA512-256', 'data-ciphers AES-256-CBC').dataCiphers).toEqual(['AES-256-CBC']);
    expect(() => settings('auth blake3')).toThrow(OptionValueError);
    expect(settings('auth md5-sha1').dataCiphers).toContain('AES-256-GCM');
    expect(() => settings('auth md5-sha1', 'data-ciphers AES-256-GCM:AES-256-CBC')).toThrow(
      /--auth md5-sha1 .*AES-256-CBC/,
    );
  });

  test('a fallback that does not exist here', () => {
    expect(settings('data-ciphers-fallback aes-128-cbc').fallbackCipher).toBe('AES-128-CBC');
    expect(() => settings('data-ciphers-fallback BF-CBC')).toThrow(/Cipher BF-CBC not supported/);
  });
});
