/** Calls that wait for an answer from another process. */
export interface PendingCalls {
  /** Registers a call. The promise rejects with `onLate()` when no answer came in time. */
  open<T>(timeoutMillis: number, onLate: () => Error): { readonly id: number; readonly answer: Promise<T> }
  resolve(id: number, value: unknown): void
  reject(id: number, error: Error): void
  /** The other process is gone: rejects all of them. */
  rejectAll(error: Error): void
}

interface Pending {
  readonly resolve: (value: unknown) => void
  readonly reject: (error: Error) => void
  readonly timer: NodeJS.Timeout
}

/** Makes an empty register. */
export function createPendingCalls(): PendingCalls {
  const pending = new Map<number, Pending>()
  let lastId = 0
  const take = (id: number): Pending | undefined => {
    const call = pending.get(id)
    clearTimeout(call?.timer)
    pending.delete(id)
    return call
  }
  const calls: PendingCalls = {
    open<T>(timeoutMillis: number, onLate: () => Error) {
      const id = ++lastId
      const answer = new Promise<unknown>((resolve, reject) => {
        const timer = setTimeout(() => calls.reject(id, onLate()), timeoutMillis)
        pending.set(id, { resolve, reject, timer })
      })
      // The other process is trusted to answer with what its caller asked for: types do not cross the border.
      return { id, answer: answer as Promise<T> }
    },
    resolve: (id, value) => take(id)?.resolve(value),
    reject: (id, error) => take(id)?.reject(error),
    rejectAll(error) {
      for (const id of [...pending.keys()]) calls.reject(id, error)
    },
  }
  return calls
}
