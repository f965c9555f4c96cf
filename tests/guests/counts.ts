/** How many instructions the guest kernels retire, measured once; any change of them is a change of behaviour. */

/** Instructions that each kernel retires until it switches off: the same on the bare machine and in a VM, and however translations
 *  are cached. */
export const INSTRUCTIONS: Readonly<Record<string, number>> = {
  hello: 210,
  tasks: 4_692_883,
  pages: 92_857,
  pae: 180_336,
  faults: 242_106,
  debug: 42_792,
  realmode: 2_164,
  v86: 245_446,
  taskswitch: 189_931,
  mischief: 7_709,
  second: 6_456,
  hypervisor: 1_126_092, // with `second` as its module; on the bare machine only, as vmlaunch
  vmlaunch: 130_467, // VMX is hidden from guests, so only on the bare machine
};

/** The same for mischief with a word, and how it ends if not by switching off. */
export const MISCHIEF: Readonly<Record<string, readonly [instructions: number, end?: string]>> = {
  'read-beyond': [3_228],
  'write-beyond': [3_525],
  'copy-beyond': [4_722_756],
  'fill-all': [264_409, 'triple-fault'],
  'read-ports': [13_571],
  'write-ports': [14_571],
  'string-ports': [11_551],
  devices: [575_859],
  vmx: [7_964],
  'read-msr': [2_400],
  'write-msr': [2_459],
  'control-registers': [7_111],
  tables: [8_209],
  'page-tables': [7_870_934],
  'lose-pages': [7_913, 'triple-fault'],
  'jump-absent': [7_607],
  'jump-beyond': [2_149],
  'modify-code': [310_144],
  interrupt: [2_446],
  stack: [6_862, 'triple-fault'],
  'triple-fault': [1_886, 'triple-fault'],
  spin: [100_000, 'limit'],
  halt: [1_686, 'halted'],
};
/** A processor that remembers page-directory entries goes on for a while without its page directory. */
export const MISCHIEF_STALEST: typeof MISCHIEF = {
  ...MISCHIEF,
  'lose-pages': [8_939, 'triple-fault'],
};
