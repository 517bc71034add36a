import type { BigIntStats } from 'node:fs';
import { ContentComparer } from '../../manifest/compare-content.js';
import type { Entry } from '../../manifest/manifest.js';
import type { Finding } from '../record/finding.js';
import {
  findObsolete,
  findTypeChanges,
  JailView,
  managedDirectories,
  type ObsoleteEntries,
  pathsToKeep,
} from '../record/owned-entries.js';
import { entriesOwned } from '../record/record.js';
import { locateTarget } from '../target.js';
import { isPrivileged } from '../write/stage.js';
import { changedPolicy, isPruning } from './job.js';
import type { Planned } from './plan-step.js';

/** What a build will do with entries that earlier builds put into the jail. */
export interface BuildIntent {
  readonly view: JailView;
  readonly obsolete: ObsoleteEntries;
  readonly removals: readonly Entry[];
  readonly keep: ReadonlySet<string>;
  /** Directories whose mode and owner the build sets. */
  readonly managed: ReadonlySet<string>;
  /** Paths at which a directory may replace another type, or the reverse. */
  readonly typeChanges: ReadonlySet<string>;
  /** Whether the content of a file changed although its attributes did not. */
  readonly isTampered: (entry: Entry, found: BigIntStats) => boolean;
}

/** Decides from the state of the jail; changes nothing. */
export function intentOf({ job, manifest, resolution, sourceRoot }: Planned): BuildIntent {
  const { history } = job;
  const pruning = isPruning(job);
  const policy = changedPolicy(job);
  const comparer = history.record === undefined ? undefined : new ContentComparer(sourceRoot);
  const root = locateTarget(job.target).path;
  const view = new JailView(root, isPrivileged(), comparer);
  const obsolete = findObsolete(manifest, history, view);
  const tampered = resolution.kind === 'given' ? resolution.sources.tampered(root) : undefined;
  return {
    view,
    obsolete,
    removals: pruning ? obsolete.removable : [],
    managed:
      pruning && policy !== 'keep' ? managedDirectories(manifest, history) : new Set<string>(),
    typeChanges: pruning ? findTypeChanges(manifest, history, view, obsolete) : new Set<string>(),
    keep: pathsToKeep(manifest, history, view, policy, pruning),
    isTampered:
      tampered === undefined ? view.isTampered.bind(view) : ({ path }) => tampered.has(path),
  };
}

/** Returns a sentence for each entry of earlier builds that the user changed. */
export function changedNotes(
  findings: readonly Finding[],
  { obsolete, view }: BuildIntent,
  { job }: Planned,
): string[] {
  const { history, options } = job;
  if (history.record === undefined) return [];
  const own = entriesOwned(history.record);
  const left = isPruning(job) ? obsolete.changed.map(changedNote('left')) : [];
  const others = findings.flatMap(({ entry, need, as, isAltered }) => {
    const made = own.get(entry.path);
    if (made === undefined) return [];
    if (as === 'kept') return options.noClobber ? [] : [changedNote('kept')(entry)];
    if (need !== 'replace') return [];
    if (isAltered) return [changedNote('replaced')(entry)];
    const found = view.lstat(entry.path);
    if (found === undefined || view.isAsMade(made, found)) return [];
    return [changedNote('replaced')(entry)];
  });
  return [...left, ...others];
}

function changedNote(fate: 'kept' | 'left' | 'replaced'): (entry: Entry) => string {
  return ({ path }) => `${path}: was changed in the jail and is ${fate}`;
}
