/** Processor models: which processor this is, as CPUID tells it (SDM Vol. 2, "CPUID — CPU Identification").
 *  A model is data; everything that depends on a feature asks for it here, nothing asks for a model's name. */

import { InvalidInput } from '../base/errors.ts';
import {
  CR4_DE,
  CR4_MCE,
  CR4_PAE,
  CR4_PCE,
  CR4_PGE,
  CR4_PSE,
  CR4_PVI,
  CR4_SMAP,
  CR4_SMEP,
  CR4_TSD,
  CR4_VME,
  CR4_VMXE,
} from '../base/registers.ts';

interface FeatureBit {
  readonly leaf: number;
  readonly register: 'ebx' | 'ecx' | 'edx';
  readonly bit: number;
  /** CR4 bits that exist because of the feature. */
  readonly cr4: number;
}

const bit = (leaf: number, register: FeatureBit['register'], n: number, cr4 = 0): FeatureBit => ({
  leaf,
  register,
  bit: n,
  cr4,
});

/** Feature flags by the manual's names: where CPUID shows them and which CR4 bits they bring. */
export const FEATURES = {
  FPU: bit(1, 'edx', 0),
  VME: bit(1, 'edx', 1, CR4_VME | CR4_PVI),
  DE: bit(1, 'edx', 2, CR4_DE),
  PSE: bit(1, 'edx', 3, CR4_PSE),
  TSC: bit(1, 'edx', 4, CR4_TSD),
  MSR: bit(1, 'edx', 5),
  PAE: bit(1, 'edx', 6, CR4_PAE),
  MCE: bit(1, 'edx', 7, CR4_MCE),
  CX8: bit(1, 'edx', 8),
  APIC: bit(1, 'edx', 9),
  SEP: bit(1, 'edx', 11),
  MTRR: bit(1, 'edx', 12),
  PGE: bit(1, 'edx', 13, CR4_PGE),
  MCA: bit(1, 'edx', 14),
  CMOV: bit(1, 'edx', 15),
  PAT: bit(1, 'edx', 16),
  'PSE-36': bit(1, 'edx', 17),
  VMX: bit(1, 'ecx', 5, CR4_VMXE),
  SMEP: bit(7, 'ebx', 7, CR4_SMEP),
  SMAP: bit(7, 'ebx', 20, CR4_SMAP),
  RDTSCP: bit(0x8000_0001, 'edx', 27),
  NX: bit(0x8000_0001, 'edx', 20),
} as const satisfies Record<string, FeatureBit>;

export type Feature = keyof typeof FEATURES;

/** A model-specific register that is nothing but storage. */
export interface MsrRow {
  readonly index: number;
  /** The manual's name. */
  readonly name: string;
  /** Value after reset. */
  readonly reset: { readonly lo: number; readonly hi: number };
  /** Bits that software may change to anything; setting another one raises #GP(0). */
  readonly writable: { readonly lo: number; readonly hi: number };
}

/** What there was in VMX when processors of that kind came out: the first ones; those that brought EPT and VPID, up to unrestricted
 *  guest; those that brought accessed and dirty flags for EPT, the page-modification log, VMCS shadowing and a virtual APIC; all that
 *  ringlet has. */
export type VmxGeneration = 'first' | 'ept' | 'pml' | 'all';

export interface ProcessorModel {
  /** As `--cpu` takes it. */
  readonly name: string;
  /** 12 characters, CPUID leaf 0. */
  readonly vendor: string;
  /** At most 47 characters, CPUID leaves 8000_0002h to 8000_0004h. */
  readonly brand: string;
  /** Family, model and stepping in the format of CPUID.1:EAX, which EDX also holds after reset. */
  readonly signature: number;
  readonly features: ReadonlySet<Feature>;
  /** Which VMX it has, with feature VMX. */
  readonly vmx: VmxGeneration;
  /** Version of architectural performance monitoring (CPUID leaf 0Ah); 0: none. */
  readonly performanceMonitoring: 0 | 2;
  /** MAXPHYADDR. */
  readonly physicalAddressBits: number;
  /** Storage MSRs; those with behaviour (TSC, SYSENTER, VMX) follow from the features. */
  readonly msrs: readonly MsrRow[];
}

const NONE = { lo: 0, hi: 0 };
const ALL = { lo: -1, hi: 0 };
/** IA32_PAT after reset: WB WT UC− UC, twice. */
const PAT_RESET = { lo: 0x0007_0406, hi: 0x0007_0406 };
const PAT_WRITABLE = { lo: 0x0707_0707, hi: 0x0707_0707 };
/** General-purpose performance counters. They can be set and read; there is no event that they could count. */
export const PERFORMANCE_COUNTERS = 2;
/** Bit 21, a lock of some processors, and reserved bits 63:32 aside. */
const EVENT_SELECT = { lo: ~(1 << 21), hi: 0 };
/** A bit for each general-purpose counter. */
const EACH_COUNTER = { lo: (1 << PERFORMANCE_COUNTERS) - 1, hi: 0 };

/** MSRs that every family 6 processor has. */
const familySixMsrs: readonly MsrRow[] = [
  { index: 0x17, name: 'IA32_PLATFORM_ID', reset: NONE, writable: NONE },
  // Software writes 0, executes CPUID and reads the microcode revision. There is no microcode: it stays 0.
  { index: 0x8b, name: 'IA32_BIOS_SIGN_ID', reset: NONE, writable: NONE },
  { index: 0xc1, name: 'IA32_PMC0', reset: NONE, writable: ALL },
  { index: 0xc2, name: 'IA32_PMC1', reset: NONE, writable: ALL },
  { index: 0x186, name: 'IA32_PERFEVTSEL0', reset: NONE, writable: EVENT_SELECT },
  { index: 0x187, name: 'IA32_PERFEVTSEL1', reset: NONE, writable: EVENT_SELECT },
];

/** What architectural performance monitoring of version 2 adds. */
const performanceMsrs: readonly MsrRow[] = [
  { index: 0x38e, name: 'IA32_PERF_GLOBAL_STATUS', reset: NONE, writable: NONE },
  { index: 0x38f, name: 'IA32_PERF_GLOBAL_CTRL', reset: EACH_COUNTER, writable: EACH_COUNTER },
  { index: 0x390, name: 'IA32_PERF_GLOBAL_OVF_CTRL', reset: NONE, writable: EACH_COUNTER },
];
const patMsr: MsrRow = { index: 0x277, name: 'IA32_PAT', reset: PAT_RESET, writable: PAT_WRITABLE };
const tscAuxMsr: MsrRow = { index: 0xc000_0103, name: 'IA32_TSC_AUX', reset: NONE, writable: ALL };

const pentiumPro = {
  vendor: 'GenuineIntel',
  brand: 'ringlet',
  signature: 0x619, // family 6, model 1, stepping 9
  physicalAddressBits: 36,
  msrs: familySixMsrs,
} as const;

// Left out of a real Pentium Pro, because ringlet does not have them yet: FPU, VME, MCE, APIC, MTRR, MCA. SEP it shows, but has not.
const pentiumProFeatures: readonly Feature[] = ['DE', 'PSE', 'TSC', 'MSR', 'PAE', 'CX8', 'PGE', 'CMOV'];

const vmxFeatures: readonly Feature[] = [...pentiumProFeatures, 'SEP', 'PAT', 'VMX', 'NX'];

/** The same core with the VMX of a generation, and what came with it. */
const withVmx = (name: string, vmx: VmxGeneration, more: readonly Feature[]): ProcessorModel => ({
  ...pentiumPro,
  name,
  features: new Set<Feature>([...vmxFeatures, ...more]),
  vmx,
  performanceMonitoring: 2,
  msrs: [...familySixMsrs, ...performanceMsrs, patMsr, ...(more.includes('RDTSCP') ? [tscAuxMsr] : [])],
});

/** A Pentium Pro without floating point, with all of VMX that there is: the default. */
export const defaultModel: ProcessorModel = withVmx('p6-vmx', 'all', ['RDTSCP', 'SMEP', 'SMAP']);

/** With VMX as the first processors had it: no EPT, no VPID, no unrestricted guest. */
export const firstVmxModel: ProcessorModel = withVmx('p6-vmx-first', 'first', []);

/** With EPT, VPID and unrestricted guest, but neither accessed and dirty flags nor what came after them. */
export const eptModel: ProcessorModel = withVmx('p6-vmx-ept', 'ept', ['RDTSCP']);

/** With accessed and dirty flags for EPT, page-modification log, VMCS shadowing and virtual APIC. */
export const pmlModel: ProcessorModel = withVmx('p6-vmx-pml', 'pml', ['RDTSCP', 'SMEP', 'SMAP']);

/** Without VMX. */
export const plainModel: ProcessorModel = {
  ...pentiumPro,
  name: 'p6',
  features: new Set(pentiumProFeatures),
  vmx: 'all',
  performanceMonitoring: 0,
};

/** Every model, by the name that `--cpu` takes. */
export const processorModels: readonly ProcessorModel[] = [defaultModel, firstVmxModel, eptModel, pmlModel, plainModel];

/** The model of that name. */
export function processorModel(name: string): ProcessorModel {
  const found = processorModels.find((m) => m.name === name);
  if (found) return found;
  throw new InvalidInput(`no processor model '${name}'; there are: ${processorModels.map((m) => m.name).join(', ')}`);
}

/** CR4 bits that may be one (SDM Vol. 3, "Control Registers"); setting any other raises #GP(0).
 *  PCE belongs to every family 6 processor. */
export function cr4Mask(model: ProcessorModel): number {
  let mask = CR4_PCE;
  for (const feature of model.features) mask |= FEATURES[feature].cr4;
  return mask;
}

/** EAX, EBX, ECX, EDX as CPUID returns them; 32-bit patterns. */
export interface CpuidResult {
  eax: number;
  ebx: number;
  ecx: number;
  edx: number;
}

/** The one leaf with sub-leaves that has features. */
const STRUCTURED_LEAF = 7;
const HIGHEST_EXTENDED = 0x8000_0008;
/** Architectural Performance Monitoring Leaf. */
const PERFORMANCE_LEAF = 0xa;
/** Bits of a performance counter; events that leaf 0Ah speaks of. */
const COUNTER_BITS = 40;
const EVENTS_LISTED = 7;

/** What CPUID returns for a leaf (EAX) and a sub-leaf (ECX). A basic leaf that is too high yields the highest one,
 *  as on Intel processors; so does an extended one. */
export function cpuid(model: ProcessorModel, leaf: number, subleaf: number): CpuidResult {
  const highest = highestBasicLeaf(model);
  const wanted = leaf >>> 0;
  const known = wanted <= highest || (wanted >= 0x8000_0000 && wanted <= HIGHEST_EXTENDED);
  return known ? knownLeaf(model, wanted, subleaf) : knownLeaf(model, highest, subleaf);
}

function highestBasicLeaf(model: ProcessorModel): number {
  let highest = model.performanceMonitoring > 0 ? PERFORMANCE_LEAF : 1;
  for (const feature of model.features) {
    const { leaf } = FEATURES[feature];
    if (leaf < 0x8000_0000) highest = Math.max(highest, leaf);
  }
  return highest;
}

function knownLeaf(model: ProcessorModel, leaf: number, subleaf: number): CpuidResult {
  const r: CpuidResult = { eax: 0, ebx: 0, ecx: 0, edx: 0 };
  if (leaf === 0) {
    r.eax = highestBasicLeaf(model);
    [r.ebx, r.edx, r.ecx] = words(model.vendor, 3);
  } else if (leaf === 1) {
    r.eax = model.signature;
  } else if (leaf === PERFORMANCE_LEAF && model.performanceMonitoring > 0) {
    r.eax = model.performanceMonitoring | (PERFORMANCE_COUNTERS << 8) | (COUNTER_BITS << 16) | (EVENTS_LISTED << 24);
    r.ebx = (1 << EVENTS_LISTED) - 1; // none of these events is available
  } else if (leaf === 0x8000_0000) {
    r.eax = HIGHEST_EXTENDED | 0;
  } else if (leaf >= 0x8000_0002 && leaf <= 0x8000_0004) {
    [r.eax, r.ebx, r.ecx, r.edx] = words(model.brand, 12).slice((leaf - 0x8000_0002) * 4);
  } else if (leaf === 0x8000_0008) {
    r.eax = model.physicalAddressBits | (32 << 8);
  }
  for (const feature of subleaf === 0 || leaf !== STRUCTURED_LEAF ? model.features : []) {
    const f = FEATURES[feature];
    if (f.leaf === leaf) r[f.register] |= 1 << f.bit;
  }
  return r;
}

/** Text as little-endian 32-bit words, padded with zero bytes. */
function words(text: string, count: number): [number, number, number, number] {
  const all: number[] = [];
  for (let w = 0; w < count; w++) {
    let value = 0;
    for (let b = 3; b >= 0; b--) value = (value << 8) | (text.charCodeAt(w * 4 + b) || 0);
    all.push(value);
  }
  return all as [number, number, number, number];
}
