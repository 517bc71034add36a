/** How registries are reached. */
export interface RegistryAccess {
  /** False to accept any certificate and plain HTTP. */
  readonly tlsVerify?: boolean;
  /** File of certificate authorities (PEM) to trust in addition to the system's. */
  readonly caFile?: string;
  /**
   * A directory with authorities (`*.crt`) and client certificates (`*.cert` with `*.key`). The default is that of
   * the registry in /etc/containers/certs.d or /etc/docker/certs.d.
   */
  readonly certDir?: string;
  /** With users and passwords. The default is those of podman, skopeo and docker. */
  readonly authFile?: string;
}

export interface RegistryOptions extends RegistryAccess {
  readonly signal?: AbortSignal;
}
