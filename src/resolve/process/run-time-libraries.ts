import type { Sysroot } from '../../fs/sysroot.js';
import type { LoadedObject } from '../../loader/loaded-object.js';
import type { MissingLibrary, Reason } from '../../manifest/manifest.js';
import type { ResolveRequest } from '../../manifest/request.js';
import { PACE, type Steps } from '../../manifest/steps.js';
import type { FileCollection } from '../file-collection.js';
import { Hints } from '../usage/hints.js';
import { isShell } from '../usage/shell.js';
import { openNotedLibraries } from './dlopen-notes.js';
import { openLibcLibraries } from './libc-libraries.js';
import { looksUpHosts, NameService } from './name-service.js';
import type { RunningProcess } from './running-process.js';
import { GLIBC_SONAME, type ObjectFacts, type RuntimeFacts } from './runtime-facts.js';

/** Reasons of a program that another one starts, and of the target of its link. */
const STARTED: ReadonlySet<Reason['kind']> = new Set(['command', 'link-target']);

/** Receives what {@link RunTimeLibraries} finds. */
export interface OpeningWatcher {
  /** Called for each object of a process, before what it opens is opened. */
  onObject(process: RunningProcess, object: LoadedObject): void;
  onMissing(library: MissingLibrary): void;
  onWarning(warning: string): void;
}

/** Opens what the objects of processes open at run time, as far as rules cover it. */
export class RunTimeLibraries {
  readonly #files: FileCollection;
  readonly #request: ResolveRequest;
  readonly #facts: RuntimeFacts;
  readonly #watcher: OpeningWatcher;
  readonly #nameService: NameService;
  readonly #hints = new Hints();
  #anyLooksUpHosts = false;

  constructor(
    sysroot: Sysroot,
    files: FileCollection,
    request: ResolveRequest,
    facts: RuntimeFacts,
    watcher: OpeningWatcher,
  ) {
    this.#files = files;
    this.#request = request;
    this.#facts = facts;
    this.#watcher = watcher;
    this.#nameService = new NameService(sysroot, files);
  }

  /** Whether a program looks up hosts, with the name service that the request leaves it. */
  get anyLooksUpHosts(): boolean {
    return this.#anyLooksUpHosts;
  }

  /** Opens and adds the libraries of all objects of a process, also of those that this opens, with steps for them. */
  *openInSteps(process: RunningProcess): Steps<void> {
    const { dlopen = 'required', nss = 'auto' } = this.#request;
    const libc = process.find(GLIBC_SONAME);
    const asksForNames = nss === 'auto' && !this.#isStartedShell(process);
    let count = 0;
    for (const object of process.loaded) {
      this.#watcher.onObject(process, object);
      const { imports, dlopens } = this.note(object);
      if (++count % PACE === 0 || imports.length + dlopens.length > 0) yield;
      for (const library of openNotedLibraries(process, object, dlopens, dlopen)) {
        this.#watcher.onMissing(library);
      }
      if (object === libc) continue;
      this.#anyLooksUpHosts ||= asksForNames && looksUpHosts(imports);
      if (libc === undefined) continue;
      for (const warning of openLibcLibraries(process, libc, object, imports, dlopen)) {
        this.#watcher.onWarning(warning);
      }
      if (asksForNames) this.#nameService.open(process, libc, object, imports);
    }
  }

  /**
   * Returns whether a process is a shell that is there only because other programs start it. What it looks users up for
   * is `~NAME` of command lines and prompts, for which the users of files are enough: glibc has that service itself.
   */
  #isStartedShell(process: RunningProcess): boolean {
    const path = process.loaded[0]?.trace.path;
    if (path === undefined || !isShell(path)) return false;
    const reasons = this.#files.reasonsOf(path);
    return reasons.length > 0 && reasons.every(({ kind }) => STARTED.has(kind));
  }

  /** Records an object for the hints, and returns its facts. */
  note(object: LoadedObject): ObjectFacts {
    const facts = this.#facts.of(object);
    this.#hints.note(object, facts.imports, facts.dlopens.length > 0);
    return facts;
  }

  /** Records a script for the hints. */
  noteScript(script: string, interpreter: string): void {
    this.#hints.noteScript(script, interpreter);
  }

  /** Returns hints on files that no rule covers, one line for each kind. Call it last. */
  hints(): string[] {
    return this.#hints.lines({ request: this.#request, has: (path) => this.#files.has(path) });
  }

  /** Returns a hint on the services of nsswitch.conf whose modules do not exist. Call it last. */
  absentServices(): string[] {
    const absent = [...this.#nameService.absent].sort();
    return absent.length === 0
      ? []
      : [`nsswitch.conf names services whose modules are not installed: ${absent.join(', ')}`];
  }
}
