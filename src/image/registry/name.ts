import { JailbuildError } from '../../errors.js';

/** A repository in a registry, and optionally one of its images. */
export interface RegistryName {
  /** `HOST[:PORT]`. */
  readonly host: string;
  readonly repository: string;
  readonly tag?: string;
  readonly digest?: string;
}

/** The host that serves `docker.io`. */
const DOCKER_HUB = 'registry-1.docker.io';
const REPOSITORY = /^[a-z0-9]+([._-]+[a-z0-9]+)*(\/[a-z0-9]+([._-]+[a-z0-9]+)*)*$/;
const TAG = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/;

/**
 * Parses `REGISTRY/NAME[:TAG][@DIGEST]` (distribution, "reference" grammar). The default registry is Docker Hub;
 * without tag and digest, the tag is `latest`.
 *
 * @throws JailbuildError USAGE
 */
export function parseRegistryName(text: string): RegistryName {
  const [, name = '', tag, digest] =
    /^(.*?)(?::([^:/@]+))?(?:@(sha256:[0-9a-f]{64}))?$/.exec(text) ?? [];
  const cut = name.indexOf('/');
  const first = name.slice(0, Math.max(cut, 0));
  const hasHost = /[.:]|^localhost$/.test(first);
  const host = hasHost ? first : 'docker.io';
  const rest = hasHost ? name.slice(cut + 1) : name;
  const repository = host === 'docker.io' && !rest.includes('/') ? `library/${rest}` : rest;
  const isValid =
    /^(\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+)(:\d{1,5})?$/.test(host) &&
    REPOSITORY.test(repository) &&
    (tag === undefined || TAG.test(tag));
  if (!isValid) {
    throw new JailbuildError(
      'USAGE',
      `docker://${text}: give docker://REGISTRY/NAME[:TAG][@sha256:DIGEST]`,
    );
  }
  return {
    host,
    repository,
    ...(tag === undefined && digest === undefined ? { tag: 'latest' } : {}),
    ...(tag === undefined ? {} : { tag }),
    ...(digest === undefined ? {} : { digest }),
  };
}

/** Returns the host to connect to. */
export function hostToConnect(host: string): string {
  return host === 'docker.io' ? DOCKER_HUB : host;
}
