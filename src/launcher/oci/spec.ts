/** The parts of config.json that this runtime reads (OCI runtime specification 1.0 and 1.1). */
export interface OciConfig {
  readonly ociVersion: string;
  readonly hostname?: string;
  readonly domainname?: string;
  readonly root?: { readonly path: string; readonly readonly?: boolean };
  readonly process?: OciProcess;
  readonly mounts?: readonly OciMount[];
  readonly hooks?: Readonly<Record<string, readonly OciHook[] | undefined>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly linux?: OciLinux;
  readonly windows?: unknown;
  readonly solaris?: unknown;
  readonly vm?: unknown;
  readonly zos?: unknown;
  readonly freebsd?: unknown;
}

export interface OciUser {
  readonly uid: number;
  readonly gid: number;
  readonly umask?: number;
  readonly additionalGids?: readonly number[];
}

export interface OciProcess {
  readonly terminal?: boolean;
  /** Default: root. */
  readonly user?: OciUser;
  readonly args?: readonly string[];
  readonly env?: readonly string[];
  readonly cwd: string;
  readonly capabilities?: Readonly<Record<string, readonly string[] | undefined>>;
  readonly rlimits?: readonly {
    readonly type: string;
    readonly soft: number;
    readonly hard: number;
  }[];
  readonly noNewPrivileges?: boolean;
  readonly oomScoreAdj?: number;
  readonly apparmorProfile?: string;
  readonly selinuxLabel?: string;
  readonly scheduler?: unknown;
  readonly ioPriority?: unknown;
  readonly execCPUAffinity?: unknown;
}

export interface OciMount {
  readonly destination: string;
  readonly type?: string;
  readonly source?: string;
  readonly options?: readonly string[];
  readonly uidMappings?: readonly unknown[];
}

export interface OciHook {
  readonly path: string;
  readonly args?: readonly string[];
  readonly env?: readonly string[];
  readonly timeout?: number;
}

export interface OciLinux {
  readonly namespaces?: readonly { readonly type: string; readonly path?: string }[];
  readonly uidMappings?: readonly OciMapping[];
  readonly gidMappings?: readonly OciMapping[];
  readonly devices?: readonly {
    readonly path: string;
    readonly type: string;
    readonly major?: number;
    readonly minor?: number;
    readonly fileMode?: number;
    readonly uid?: number;
    readonly gid?: number;
  }[];
  readonly cgroupsPath?: string;
  readonly resources?: OciResources;
  readonly maskedPaths?: readonly string[];
  readonly readonlyPaths?: readonly string[];
  readonly rootfsPropagation?: string;
  readonly sysctl?: Readonly<Record<string, string>>;
  readonly seccomp?: OciSeccomp;
  readonly timeOffsets?: Readonly<
    Record<string, { readonly secs?: number; readonly nanosecs?: number }>
  >;
  readonly mountLabel?: string;
  readonly intelRdt?: unknown;
  readonly personality?: unknown;
  readonly memoryPolicy?: unknown;
  readonly netDevices?: object;
}

export interface OciMapping {
  readonly containerID: number;
  readonly hostID: number;
  readonly size: number;
}

export interface OciResources {
  readonly devices?: readonly {
    readonly allow: boolean;
    readonly type?: string;
    readonly major?: number;
    readonly minor?: number;
    readonly access?: string;
  }[];
  readonly memory?: {
    readonly limit?: number;
    readonly swap?: number;
    readonly reservation?: number;
    readonly kernel?: number;
    readonly kernelTCP?: number;
    readonly swappiness?: number;
    readonly disableOOMKiller?: boolean;
  };
  readonly pids?: { readonly limit?: number };
  readonly cpu?: {
    readonly shares?: number;
    readonly quota?: number;
    readonly period?: number;
    readonly burst?: number;
    readonly idle?: number;
    readonly realtimeRuntime?: number;
    readonly realtimePeriod?: number;
    readonly cpus?: string;
    readonly mems?: string;
  };
  readonly blockIO?: object;
  readonly hugepageLimits?: readonly unknown[];
  readonly network?: object;
  readonly rdma?: object;
  readonly unified?: Readonly<Record<string, string>>;
}

export interface OciSeccomp {
  readonly defaultAction: string;
  readonly defaultErrnoRet?: number;
  readonly architectures?: readonly string[];
  readonly flags?: readonly string[];
  readonly listenerPath?: string;
  readonly syscalls?: readonly {
    readonly names: readonly string[];
    readonly action: string;
    readonly errnoRet?: number;
    readonly args?: readonly {
      readonly index: number;
      readonly value: number;
      readonly valueTwo?: number;
      readonly op: string;
    }[];
  }[];
}
