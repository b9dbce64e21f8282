import { describeTlsEngine } from '@openvpnd/control-tls/conformance';
import { nodeWorld } from './node-world.js';

describeTlsEngine('node:tls, TLS 1.3', () => nodeWorld());
describeTlsEngine('node:tls, TLS 1.2', () => nodeWorld({ maxVersion: '1.2' }));
