/** Segmentation, control transfer between segments, and events. */

export { deliver } from './deliver.ts';
export { dispatch, exceptionEvent } from './events.ts';
export { farHandlers } from './handlers.ts';
export { loadSegment, segmentCheck } from './segments.ts';
