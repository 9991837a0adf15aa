/** What was not caught: rejections and throws that would end the process. */

const EVENTS = ['unhandledRejection', 'uncaughtException'] as const

/** Runs an action, and puts into `into` what would have ended the process meanwhile. The test runner, which would fail by it too, hears nothing of it. */
export async function collectUnhandled<T>(into: unknown[], action: () => Promise<T>): Promise<T> {
  const before = EVENTS.map((event) => [event, process.listeners(event as 'uncaughtException')] as const)
  const collect = (error: unknown) => void into.push(error)
  for (const event of EVENTS) process.removeAllListeners(event).on(event as 'uncaughtException', collect)
  try {
    return await action()
  } finally {
    for (const [event, listeners] of before) {
      process.off(event, collect)
      for (const listener of listeners) process.on(event as 'uncaughtException', listener)
    }
  }
}
