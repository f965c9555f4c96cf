export { hex } from './base/int.ts';
