// Resolves programs as a build does, with advice or without. Usage: node FILE advised|plain PROGRAM...
import { resolveRequest } from '../../src/plan/resolve-request.js';

const [how, ...programs] = process.argv.slice(2);
void resolveRequest({ programs }, { isAdvised: how === 'advised' });
