/** The one value that is thrown inside an execution tier, and caught at its edge.
 *  A processor owns one; whoever detects an architectural event fills it and throws it. Outside the tier it is read as a value. */

export const SIGNAL_EXCEPTION = 1;
export const SIGNAL_EPT_VIOLATION = 2;
export const SIGNAL_EPT_MISCONFIGURATION = 3;
/** A VM exit took place inside an instruction; the processor state is the host's already. */
export const SIGNAL_EXITED = 4;
/** A write had to be logged, and the page-modification log is full. */
export const SIGNAL_PML_FULL = 5;

/** The instruction touches what needs it to be executed by itself: it starts again so. */
export const SIGNAL_ALONE = 14;
/** An access to the APIC-access page that leaves the guest; `qualification` is that of the exit. */
export const SIGNAL_APIC_ACCESS = 15;

export class Signal {
  kind = 0;
  /** SIGNAL_EXCEPTION: vector, and error code or −1 where the exception pushes none. */
  vector = 0;
  errorCode = -1;
  /** #PF: the linear address (goes to CR2). EPT: the guest-linear address. */
  linear = 0;
  /** EPT violation: exit qualification (SDM Vol. 3, "Exit Qualification for EPT Violations"). */
  qualification = 0;
  /** EPT violation: software may be told of it by a virtualization exception (SDM Vol. 3, "Convertible EPT Violations"). */
  convertible = false;
  /** EPT: guest-physical address, two halves. */
  guestPhysicalLow = 0;
  guestPhysicalHigh = 0;
  /** Which rule was broken, for reports; a short sentence or ''. */
  because = '';

  /** Fills in an exception and throws. `errorCode` −1: none. */
  raise(vector: number, errorCode = -1, because = ''): never {
    this.kind = SIGNAL_EXCEPTION;
    this.vector = vector;
    this.errorCode = errorCode;
    this.because = because;
    throw this;
  }
}

/** Exception vectors (SDM Vol. 3, "Exceptions and Interrupts"). */
export const DE = 0;
export const DB = 1;
export const NMI = 2;
export const BP = 3;
export const OF = 4;
export const BR = 5;
export const UD = 6;
export const NM = 7;
export const DF = 8;
export const TS = 10;
export const NP = 11;
export const SS = 12;
export const GP = 13;
export const PF = 14;
export const MF = 16;
export const AC = 17;
export const MC = 18;
export const VE = 20;
