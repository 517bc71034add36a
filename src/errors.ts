/** Every code that an error can have. docs/cli.md lists each with its meaning. */
export const ERROR_CODES = [
  'USAGE',
  'PROGRAM_NOT_FOUND',
  'NOT_READABLE',
  'NOT_A_REGULAR_FILE',
  'NOT_ELF',
  'NOT_A_PROGRAM',
  'SCRIPT',
  'MALFORMED_ELF',
  'MALFORMED_CACHE',
  'MALFORMED_CONF',
  'LIBRARY_NOT_FOUND',
  'VERSION_NOT_FOUND',
  'INTERPRETER_NOT_FOUND',
  'TERMINFO_NOT_FOUND',
  'FILE_NOT_FOUND',
  'CHARSET_NOT_FOUND',
  'LOCALE_NOT_FOUND',
  'CA_CERTIFICATES_NOT_FOUND',
  'TIME_ZONE_NOT_FOUND',
  'JAIL_FILE_INVALID',
  'PROFILE_INVALID',
  'PROFILE_NOT_FOUND',
  'PROFILE_UNMET',
  'PACKAGE_NOT_FOUND',
  'PACKAGE_INCOMPLETE',
  'INCLUDE_NOT_FOUND',
  'EXCLUDED_NEEDED',
  'USER_NOT_FOUND',
  'FILE_EXISTS',
  'SYSROOT_NOT_A_DIRECTORY',
  'TARGET_NOT_A_DIRECTORY',
  'TARGET_IS_ROOT',
  'TARGET_HOLDS_SOURCES',
  'TARGET_NOT_WRITABLE',
  'TARGET_BUSY',
  'TARGET_INSECURE',
  'OPTIMIZE_FAILED',
  'CONFLICT',
  'SYSROOT_DIFFERS',
  'MANIFEST_INVALID',
  'RECORD_MISSING',
  'RECORD_DIFFERS',
  'RECORD_REFUSED',
  'MOUNTED',
  'DIGEST_MISMATCH',
  'SOURCE_CHANGED',
  'WRITE_FAILED',
  'SYNC_FAILED',
  'NOT_EXACT',
  'VERIFY_FAILED',
  'LIMIT_EXCEEDED',
  'NOT_EXPORTABLE',
  'PLATFORM_UNKNOWN',
  'PLATFORM_DIFFERS',
  'TOOL_MISSING',
  'LAUNCHER_MISSING',
  'LAUNCHER_FAILED',
  'OBSERVER_MISSING',
  'OBSERVATION_FAILED',
  'TRACE_INVALID',
  'TRACE_STALE',
  'IMAGE_NOT_FOUND',
  'IMAGE_INVALID',
  'REGISTRY_FAILED',
  'PROOF_FAILED',
] as const;

/** What went wrong, as a stable word for machines. */
export type ErrorCode = (typeof ERROR_CODES)[number];

/**
 * An error the user can act on: a code for machines, one sentence for people, and the path concerned.
 * Anything else that is thrown is a defect of jailbuild and keeps its stack.
 */
export class JailbuildError extends Error {
  override readonly name: string = 'JailbuildError';
  readonly code: ErrorCode;
  readonly path: string | undefined;

  constructor(code: ErrorCode, message: string, path?: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.path = path;
  }
}

/** Returns the errno name of a failed system call, such as `ENOENT`, or undefined for other errors. */
export function errnoOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined;
  return typeof error.code === 'string' && /^E[A-Z0-9]+$/.test(error.code) ? error.code : undefined;
}

const ERRNO_TEXT: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EBADF: 'bad file descriptor',
  EBUSY: 'device or resource busy',
  EDQUOT: 'disk quota exceeded',
  EEXIST: 'file exists',
  EINVAL: 'invalid argument',
  EIO: 'input/output error',
  EISDIR: 'is a directory',
  ELOOP: 'too many levels of symbolic links',
  EMFILE: 'too many open files',
  ENAMETOOLONG: 'file name too long',
  ENOENT: 'no such file or directory',
  ENOSPC: 'no space left on device',
  ENOTDIR: 'not a directory',
  ENOTEMPTY: 'directory not empty',
  ENOTSUP: 'operation not supported',
  EPIPE: 'broken pipe',
  EPERM: 'operation not permitted',
  EROFS: 'read-only file system',
  EOPNOTSUPP: 'operation not supported',
  EXDEV: 'invalid cross-device link',
};

/** Returns the text of strerror(3) for an errno, for one-line messages. */
export function strerror(error: unknown): string {
  const errno = errnoOf(error);
  if (errno !== undefined) return errnoText(errno);
  return error instanceof Error ? error.message : String(error);
}

/** Returns the same text for an errno's name. */
export function errnoText(errno: string): string {
  return ERRNO_TEXT[errno] ?? errno;
}
