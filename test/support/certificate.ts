import { succeed } from './cli.js';

/**
 * Makes a key with a self-signed certificate.
 *
 * @param alternative its subject alternative name, such as `IP:127.0.0.1` or `DNS:registry.test`
 */
export function makeCertificate(alternative: string, certificate: string, key: string): void {
  const subject = ['-subj', '/CN=tests', '-addext', `subjectAltName=${alternative}`];
  const output = ['-keyout', key, '-out', certificate, '-days', '2', '-nodes'];
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256'];
  succeed('openssl', ['req', '-x509', ...curve, ...subject, ...output]);
}
