/** Waits for a promise, but no longer than `millis`: then `undefined`. Keeps the process alive meanwhile. */
export async function within<T>(promise: Promise<T>, millis: number): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), millis)
  })
  return Promise.race([promise, late]).finally(() => clearTimeout(timer))
}
