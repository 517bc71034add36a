import { JailbuildError } from '../errors.js';
import { isTrace, Sysroot } from '../fs/sysroot.js';
import type { ResolveRequest, TerminfoChoice } from '../manifest/request.js';
import { lookUpProgram } from './find-program.js';

/**
 * Returns the request for a jail that contains what both requests ask for. Lists are joined; for
 * single values, the later request wins if it sets one. Both requests must be settled.
 *
 * @param earlier the request that the jail was built from
 * @param later the new request
 * @throws JailbuildError SYSROOT_DIFFERS
 */
export function mergeRequests(earlier: ResolveRequest, later: ResolveRequest): ResolveRequest {
  const named = nameOfSysroot(later);
  if (named !== undefined && named !== nameOfSysroot(earlier)) {
    throw new JailbuildError(
      'SYSROOT_DIFFERS',
      `--sysroot ${named}: the jail was built from ${nameOfSysroot(earlier) ?? '/'}: use that sysroot, or build another jail`,
      later.sysroot,
    );
  }
  // The root of an image is that of its reference's present content.
  const { sysroot = earlier.sysroot } = later;
  const rooted = sysroot === undefined ? earlier : { ...earlier, sysroot };
  const pinned = { ...rooted, programs: pinNames(rooted, later) };
  const { path } = later;
  return {
    ...(joined(pinned, later) as ResolveRequest),
    ...(path === undefined ? {} : { path }),
    ...joinedTerminfo(earlier.terminfo, later.terminfo),
  };
}

/** Returns the name of a sysroot: a directory, or an image with its platform. */
function nameOfSysroot({ sysroot, sysrootImage }: ResolveRequest): string | undefined {
  if (sysrootImage === undefined) return sysroot;
  const { reference, platform } = sysrootImage;
  return platform === undefined ? reference : `${reference} (${platform})`;
}

/** Replaces names that would find another program on the later search path by paths. */
function pinNames(earlier: ResolveRequest, later: ResolveRequest): readonly string[] {
  const [before, now] = [earlier.path ?? [], later.path ?? []];
  if (JSON.stringify(before) === JSON.stringify(now)) return earlier.programs;
  const sysroot = new Sysroot(earlier.sysroot);
  return earlier.programs.map((name) => {
    if (name.includes('/')) return name;
    const meant = before
      .filter((directory) => directory.startsWith('/'))
      .map((directory) => `${directory.replace(/\/+$/, '')}/${name}`)
      .find((candidate) => lookUpProgram(sysroot, candidate, []) !== undefined);
    const would = lookUpProgram(sysroot, name, now);
    const trace = meant === undefined ? undefined : sysroot.trace(meant);
    if (meant === undefined || trace === undefined || !isTrace(trace)) return name;
    return would?.path === trace.path ? name : meant;
  });
}

function joinedTerminfo(
  earlier: TerminfoChoice | undefined,
  later: TerminfoChoice | undefined,
): { terminfo?: TerminfoChoice } {
  if (later === undefined) return earlier === undefined ? {} : { terminfo: earlier };
  const [before, now] = [earlier ?? 'default', later];
  if (before === 'none' || now === 'all') return { terminfo: now };
  if (now === 'none' || before === 'all') return { terminfo: before };
  const names = [...new Set([before, now].flat())];
  return { terminfo: names.length === 1 && names[0] === 'default' ? 'default' : names };
}

/** Joins lists, with the later one's new items last, and objects member by member. */
function joined(earlier: unknown, later: unknown): unknown {
  if (later === undefined) return earlier;
  if (Array.isArray(earlier) && Array.isArray(later)) return joinedLists(earlier, later);
  if (earlier === 'all' && Array.isArray(later)) return earlier;
  if (!isObject(earlier) || !isObject(later)) return later;
  const names = new Set([...Object.keys(earlier), ...Object.keys(later)]);
  return Object.fromEntries([...names].map((name) => [name, joined(earlier[name], later[name])]));
}

/** Of two items with the same name, such as two users, the later one wins. */
function joinedLists(earlier: readonly unknown[], later: readonly unknown[]): unknown[] {
  const key = (item: unknown) =>
    isObject(item) && typeof item.name === 'string' ? item.name : JSON.stringify(item);
  const items = new Map(earlier.map((item) => [key(item), item]));
  for (const item of later) items.set(key(item), item);
  return [...items.values()];
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
