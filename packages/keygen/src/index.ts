export { type DataCipher, findDataCipher } from './data-cipher.js';
export { type DataPacketShape, type MssfixSetting, mssOf, occLinkMtu } from './overhead.js';
