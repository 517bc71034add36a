import { commandLineWords } from '../fs/path-bytes.js';
import { main } from './main.js';

// All is written by then. To let the event loop run dry costs 10 ms more: it waits for what V8 still compiles.
main(commandLineWords(process.argv.slice(2))).then((status) => process.exit(status));
