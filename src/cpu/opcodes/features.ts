/** What processors of this model have and ringlet does not: it stops there with `Unimplemented`, in these words. */

/** Each with what asks for it. */
export const unimplementedFeatures = {
  'alignment check': 'EFLAGS.AC and CR0.AM set at CPL 3',
  x87: 'opcodes D8 to DF, FWAIT',
} as const;

export type UnimplementedFeature = keyof typeof unimplementedFeatures;
