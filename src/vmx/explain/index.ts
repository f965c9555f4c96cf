/** VMX explained: failed entries, exits, addresses, and the structures that decide them, as plain data with text. */
export {
  type AddressExplanation,
  explainAddress,
  type WalkAccess,
  type WalkEntry,
  type WalkMemory,
  type WalkRegime,
} from './address.ts';
export {
  explainIoBitmaps,
  explainMsrBitmap,
  type IoBitmapExplanation,
  type MsrBitmapExplanation,
  type Range,
} from './bitmaps.ts';
export { explainVmcs, type VmcsExplanation } from './dump.ts';
export { type EntryExplanation, explainEntry, type UnjudgedCheck } from './entry.ts';
export { type EptExplanation, type EptRange, explainEpt } from './ept.ts';
export { type ExitExplanation, explainExit } from './exit.ts';
export { imageOfObject, imageOfWords, objectOfImage, VmcsImage } from './image.ts';
export { isKvmDump, parseKvmDump, unknownProcessor } from './kvm.ts';
export type { FieldChange } from './nearest.ts';
export { guestRegime, walkMemory } from './regime.ts';
