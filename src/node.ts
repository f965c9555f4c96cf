/** What needs Node: kernels and sources from files. */

export { type AssembleFileOptions, assembleFile, type Kernel, loadKernel } from './cli/kernel.ts';
