export { formatSize, plural, printable } from '../../text/format.js';
