/** Task-state segments as bytes, for root-mode software that switches tasks on behalf of its guest. */
export * from '../cpu/far/tss.ts';
