import { commandLineWords } from '../path-bytes.js';
import { main } from './main.js';

main(commandLineWords(process.argv.slice(2))).then((status) => {
  process.exitCode = status;
});
