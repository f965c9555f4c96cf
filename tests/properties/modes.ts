/** Where the kernel of kernel.asm has things, and the modes that it runs code in (`mode_table`). */

export const AREA = 0x12_0000;
export const CODE_BYTES = 0x4000;
export const STACK = 0xa000;
export const SLOT_BYTES = 32;
export const MEMORY_BYTES = 0x20_0000;

export interface Mode {
  readonly name: string;
  /** 32-bit code. */
  readonly wide: boolean;
  /** Offset of AREA in the data segments, and in the code segment. */
  readonly dataBase: number;
  readonly codeBase: number;
  readonly ring: number;
}

export const MODES: readonly Mode[] = [
  { name: 'ring 3, flat', wide: true, dataBase: AREA, codeBase: AREA, ring: 3 },
  { name: 'ring 0, flat', wide: true, dataBase: AREA, codeBase: AREA, ring: 0 },
  { name: 'ring 3, 16-bit', wide: false, dataBase: 0, codeBase: 0, ring: 3 },
  { name: 'ring 0, 16-bit', wide: false, dataBase: 0, codeBase: 0, ring: 0 },
  { name: 'ring 3, segments with base and limit', wide: true, dataBase: 0, codeBase: AREA, ring: 3 },
  { name: 'ring 3, flat, IOPL 3', wide: true, dataBase: AREA, codeBase: AREA, ring: 3 },
  { name: 'ring 1, flat', wide: true, dataBase: AREA, codeBase: AREA, ring: 1 },
];
