/** What the tables in memory say now, whatever is cached: for debuggers, reports and the audit of flushes. Changes nothing that a guest
 *  could see. */
import { type DebugTranslation, debugWalk } from './debug-walk.ts';
import type { EptOptions } from './ept.ts';
import { UNPAGED } from './fast-tables.ts';
import { FlushAudit } from './flush-audit.ts';
import type { Place } from './flush-path.ts';
import type { MmuObserver, PageWalkStep } from './observer.ts';
import type { PhysicalMemory } from './physical-memory.ts';
import type { Regime } from './regime.ts';
import { EXECUTE, READ, WRITE } from './table-format.ts';
import type { TranslationCaches } from './translation-caches.ts';
import type { Translator } from './translator.ts';

/** An access as reports name it. */
export type NamedAccess = 'read' | 'write' | 'fetch';

/** What is looked at. */
export interface Inspected {
  readonly memory: PhysicalMemory;
  readonly caches: TranslationCaches;
  readonly regime: Regime;
  readonly translator: Translator;
  /** The EPT pointer turns accessed and dirty flags on. */
  hasEptFlags(): boolean;
}

const ACCESSES: Readonly<Record<NamedAccess, number>> = { read: READ, write: WRITE, fetch: EXECUTE };

export class Inspection {
  /** What EPT entries may be. */
  eptOptions: EptOptions;
  readonly #of: Inspected;

  constructor(inspected: Inspected, eptOptions: EptOptions) {
    this.#of = inspected;
    this.eptOptions = eptOptions;
  }

  /** Where an access of the context in force would lead. */
  physicalOf(linear: number, access: NamedAccess): DebugTranslation {
    return this.#look(this.#of.translator.context.class, linear, ACCESSES[access], null);
  }

  /** The same for a read, whatever the guest's tables say of rights; each entry on the way is told. */
  walkTo(linear: number, onPageWalkStep: (step: PageWalkStep) => void): DebugTranslation {
    return this.#look(this.#of.translator.context.class, linear, READ, { onPageWalkStep }, () => true);
  }

  /** From now on each use of a translation is compared with the tables. Slow; `where` tells the moment, for reports. */
  auditFlushes(where: () => Place): FlushAudit {
    const { memory, caches, regime, hasEptFlags } = this.#of;
    const { fast } = caches;
    const audit = new FlushAudit({
      memory,
      walk: (cls, linear, access, steps) =>
        this.#look(cls, linear, access, { onPageWalkStep: (step) => steps.push(step) }),
      root: (page) => regime.root(page),
      get eptFlags() {
        return hasEptFlags();
      },
      where,
      tablesChanged: () => {
        fast.generation++;
      },
    });
    caches.audit = audit;
    fast.clearAll();
    fast.generation++;
    return audit;
  }

  #look(
    cls: number,
    linear: number,
    wanted: number,
    observer: MmuObserver | null,
    allows = (rights: number): boolean => this.#of.regime.permits(rights, wanted, cls),
  ): DebugTranslation {
    const { memory, regime, translator, hasEptFlags } = this.#of;
    const c = translator.context;
    const asked = {
      format: c.class === UNPAGED ? null : regime.format(),
      root: regime.root(linear >>> 12),
      eptrta: c.eptrta,
      allows,
      access: wanted,
      eptFlags: hasEptFlags(),
      linear,
    };
    return debugWalk(memory, this.eptOptions, asked, observer);
  }
}
