export { type DataCipher, findDataCipher } from './data-cipher.js';
