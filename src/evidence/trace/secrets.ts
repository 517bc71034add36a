import path from 'node:path';
import type { Sysroot, Trace } from '../../fs/sysroot.js';

/** Files that hold keys, passwords or tokens, by where programs keep them. */
const SECRET_PLACES: readonly RegExp[] = [
  /^\/etc\/(?:shadow|gshadow|master\.passwd|security\/opasswd)-?$/,
  /^\/etc\/ssh\/ssh_host_[^/]*key$/,
  /^\/etc\/(?:ssl|pki|letsencrypt)(?:\/[^/]+)*\/(?:private|archive|live|keys)\/./,
  /^\/etc\/(?:wireguard|NetworkManager\/system-connections|ipsec\.d\/private|openvpn)\/./,
  /^\/etc\/(?:ppp\/(?:chap|pap)-secrets|krb5\.keytab|machine-key)$/,
  /^(?:\/var)?\/run\/secrets\/./,
  /\/\.ssh\/./,
  /\/\.gnupg\/./,
  /\/\.(?:netrc|pgpass|my\.cnf|git-credentials|pypirc|npmrc|yarnrc\.yml|vault-token|s3cfg|boto)$/,
  /\/\.(?:aws|azure|kube|docker|oci)\/(?:credentials|config|config\.json|accessTokens\.json)$/,
  /\/\.config\/(?:gh\/hosts\.yml|hub|gcloud\/.+|rclone\/rclone\.conf|containers\/auth\.json)$/,
  /\/\.(?:bash|zsh|python|node_repl|psql|mysql|sqlite)_history$/,
  /\.(?:keytab|kdbx|p12|pfx|jks|keystore)$/,
  /\/(?:id_(?:rsa|dsa|ecdsa|ed25519)(?:_sk)?|\.env)$/,
];
/** The first line of a private key, which may be in any file (RFC 7468, and PGP). */
const PRIVATE_KEY = /-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----/;
/** Files with these names are searched for a private key. */
const MAY_BE_KEY = /\.(?:pem|key|crt|cer|asc|priv)$|(?:^|[._-])key(?:$|[._-])/i;
/** The bytes at the start of a file in which a private key is looked for. */
const KEY_START = 8192;

/** Returns whether a file holds keys, passwords or tokens: only its name may leave the host. */
export function isSecret(sysroot: Sysroot, at: string, found: Trace): boolean {
  if ([at, found.path].some((name) => SECRET_PLACES.some((place) => place.test(name)))) return true;
  if (found.stat.type !== 'file' || !MAY_BE_KEY.test(path.posix.basename(found.path))) return false;
  const reader = sysroot.open(found);
  try {
    const start = reader.read(0, Math.min(reader.size, KEY_START));
    return PRIVATE_KEY.test(start.toString('latin1'));
  } finally {
    reader.close();
  }
}
