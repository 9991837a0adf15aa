import type { WireError } from './error-wire.ts'

/** What the parent sends. The `thaw` key sets it apart from messages of the user's own. */
export interface CallMessage {
  readonly thaw: 'call'
  readonly id: number
  readonly name: string
  readonly payload: unknown
}

/** What the child sends. */
export type ChildMessage =
  | { readonly thaw: 'ready' }
  | { readonly thaw: 'answer'; readonly id: number; readonly value: unknown }
  | { readonly thaw: 'failure'; readonly id: number; readonly error: WireError }
  | { readonly thaw: 'uncaught'; readonly origin: UncaughtOrigin; readonly error: WireError }

/** How an error escaped. */
export type UncaughtOrigin = 'uncaughtException' | 'unhandledRejection'

/** Whether a message belongs to us. */
export function isOurs(message: unknown): message is { readonly thaw: string } {
  return typeof message === 'object' && message !== null && 'thaw' in message
}
