/**
 * What Thaw's pools do, for OpenTelemetry: metrics by its semantic conventions, and events on the spans of the requests that were saved.
 *
 * @module
 */

export type { ObservablePool } from './observable-pool.ts'
export { type ObserveOptions, observe } from './observe.ts'
