import { type CallMessage, type ChildMessage, isOurs, type UncaughtOrigin } from './call-wire.ts'
import { packError } from './error-wire.ts'

/** What a child process answers: functions by name. What they return, or what their promise resolves to, must be cloneable. */
export type Handlers = Readonly<Record<string, (payload: never) => unknown>>

/** How a child process serves. */
export interface ServeOptions {
  /**
   * What happens after an uncaught exception or unhandled rejection was reported to the parent: `report` keeps running, so that a
   * test can count them all; `exit` ends with code 1, as Node does by itself. Default: `report`.
   */
  readonly onUncaught?: 'report' | 'exit'
}

/**
 * Answers the calls of the parent. Call it once, in a file that {@link spawnFreezable} runs, when it is ready for calls.
 *
 * Calls run concurrently, as requests do. The process ends when its parent does. Throws in a process that was not started by
 * {@link spawnFreezable}.
 */
export function serve(handlers: Handlers, { onUncaught = 'report' }: ServeOptions = {}): void {
  if (!process.send) throw new Error('serve() found no parent to serve. Run this file by spawnFreezable(file), not by itself.')
  for (const origin of ['uncaughtException', 'unhandledRejection'] as const) {
    process.on(origin, (thrown: unknown) => reportUncaught(origin, thrown, onUncaught === 'exit'))
  }
  process.on('disconnect', () => process.exit())
  process.on('message', (message) => {
    if (isOurs(message) && message.thaw === 'call') void answer(handlers, message as CallMessage)
  })
  send({ thaw: 'ready' })
}

async function answer(handlers: Handlers, { id, name, payload }: CallMessage): Promise<void> {
  try {
    const handler = Object.hasOwn(handlers, name) ? handlers[name] : undefined
    if (!handler) throw new Error(`The child process serves no '${name}'. It serves: ${Object.keys(handlers).join(', ') || 'nothing'}.`)
    send({ thaw: 'answer', id, value: await handler(payload as never) })
  } catch (thrown) {
    send({ thaw: 'failure', id, error: packError(thrown) })
  }
}

function reportUncaught(origin: UncaughtOrigin, thrown: unknown, isFatal: boolean): void {
  send({ thaw: 'uncaught', origin, error: packError(thrown) }, () => {
    if (isFatal) process.exit(1)
  })
}

function send(message: ChildMessage, done: () => void = () => {}): void {
  // The callback takes the error of a parent that is gone; without it the error would be uncaught, and reported again.
  process.send?.(message, undefined, undefined, done)
}
