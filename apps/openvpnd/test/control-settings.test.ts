import type { ControlSettings } from '@openvpnd/control-processor';
import { describe, expect, test } from 'vitest';
import { controlSettings, OptionValueError } from '../src/control-settings.js';
import { CLIENT, optionsOf, SERVER } from './options-of.js';

function settings(...lines: readonly string[]): ControlSettings {
  const { options, entry } = optionsOf(...CLIENT, ...lines);
  return controlSettings(options, entry);
}

function serverSettings(...lines: readonly string[]): ControlSettings {
  const { options, entry } = optionsOf(...SERVER, ...lines);
  return controlSettings(options, entry);
}

describe('timers', () => {
  test('OpenVPN’s defaults', () => {
    expect(settings()).toMatchObject({
      handWindowMs: 60_000,
      tranWindowMs: 3_600_000,
      renegMs: 3_600_000,
      maxPacketBytes: 1250,
      scheduledExitMs: 5000,
    });
    // Where nobody sets it, the measured round trip decides.
    expect(settings().tlsTimeoutMs).toBeUndefined();
  });

  test('and those of the configuration', () => {
    expect(
      settings('hand-window 20', 'tran-window 600', 'reneg-sec 120 60', 'tls-timeout 5', 'max-packet-size 500'),
    ).toMatchObject({
      handWindowMs: 20_000,
      tranWindowMs: 600_000,
      renegMs: 120_000,
      renegMinMs: 60_000,
      tlsTimeoutMs: 5000,
      maxPacketBytes: 500,
    });
    expect(settings('reneg-sec 0').renegMs).toBe(0);
  });
});

describe('what is told of ourselves', () => {
  test('a client pulls, and says what it can', () => {
    const { pull, peerInfo, dataCiphers } = settings();
    expect(pull).toBe(true);
    expect(peerInfo?.split('\n').map((line) => line.split('=')[0])).toEqual(
      expect.arrayContaining(['IV_VER', 'IV_PLAT', 'IV_MTU', 'IV_NCP', 'IV_CIPHERS', 'IV_PROTO']),
    );
    expect(peerInfo).toContain(`IV_CIPHERS=${dataCiphers.join(':')}`);
    expect(peerInfo).not.toContain('UV_');
  });

  test('--push-peer-info adds what the environment names UV_', () => {
    const lines = ['setenv UV_ROOM attic', 'setenv SECRET x'];
    expect(settings(...lines).peerInfo).not.toContain('UV_ROOM');
    expect(settings(...lines, 'push-peer-info').peerInfo).toContain('UV_ROOM=attic');
    expect(settings(...lines, 'push-peer-info').peerInfo).not.toContain('SECRET');
  });

  test('a server says nothing, and pulls nothing', () => {
    expect(serverSettings().peerInfo).toBeUndefined();
    expect(serverSettings().pull).toBe(false);
  });

  test('IV_MTU is what may be pushed: at least 1600', () => {
    expect(settings().peerInfo).toContain('IV_MTU=1600');
    expect(settings('tun-mtu 9000').peerInfo).toContain('IV_MTU=9000');
  });

  test('each end expects what the other tells', () => {
    const client = settings('auth SHA256', 'tun-mtu 1400');
    const server = serverSettings('auth SHA256', 'tun-mtu 1400');
    expect(client.expectedOptionsString).toBe(server.optionsString);
    expect(server.expectedOptionsString).toBe(client.optionsString);
    expect(serverSettings('auth SHA256').optionsString).not.toBe(client.expectedOptionsString);
  });

  test('tls-auth is part of the options string, tls-crypt is not', () => {
    expect(settings('tls-auth ta.key 1').optionsString).toContain(',keydir 1,');
    expect(settings('tls-auth ta.key 1').optionsString).toContain(',tls-auth');
    expect(settings('tls-crypt tc.key').optionsString).toBe(settings().optionsString);
  });
});

describe('what the peer has to show', () => {
  test('a certificate, whatever it says', () => {
    expect(settings().peerPolicy).toEqual({ requireCertificate: true });
  });

  test('--remote-cert-tls, --verify-x509-name', () => {
    expect(settings('remote-cert-tls server', 'verify-x509-name vpn name-prefix').peerPolicy).toEqual({
      requireCertificate: true,
      keyUsage: [],
      extendedKeyUsage: 'TLS Web Server Authentication',
      name: { kind: 'name-prefix', value: 'vpn' },
    });
    expect(serverSettings('remote-cert-tls client').peerPolicy.extendedKeyUsage).toBe('TLS Web Client Authentication');
  });

  test('--remote-cert-ku and --remote-cert-eku', () => {
    expect(settings('remote-cert-ku a0 88', 'remote-cert-eku "TLS Web Server Authentication"').peerPolicy).toEqual({
      requireCertificate: true,
      keyUsage: [0xa0, 0x88],
      extendedKeyUsage: 'TLS Web Server Authentication',
    });
  });
});

test('a user name and a password are sent by whoever has them', () => {
  const { options, entry } = optionsOf(...CLIENT, 'auth-user-pass login');
  const credentials = { username: 'anna', password: 'secret' };
  expect(controlSettings(options, entry, credentials).credentials).toEqual(credentials);
  expect(controlSettings(options, entry).credentials).toBeUndefined();
});

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

  test('--data-ciphers in the order of preference; an unknown one ends the program', () => {
    expect(settings('data-ciphers chacha20-poly1305:aes-128-gcm').dataCiphers).toEqual([
      'CHACHA20-POLY1305',
      'AES-128-GCM',
    ]);
    expect(settings('data-ciphers AES-256-GCM:?BF-CBC').dataCiphers).toEqual(['AES-256-GCM']);
    expect(() => settings('data-ciphers AES-256-GCM:BF-CBC')).toThrow(
      /^--data-ciphers AES-256-GCM:BF-CBC: .*allowed are/,
    );
  });

  test('a fallback that does not exist here', () => {
    expect(settings('data-ciphers-fallback aes-128-cbc').fallbackCipher).toBe('AES-128-CBC');
    expect(() => settings('data-ciphers-fallback BF-CBC')).toThrow(/Cipher BF-CBC not supported/);
  });
});
