/** Clients of our own class watch themselves, except for those that a pool makes: the pool watches them, and chooses their hosts. */

let isMaking = false

export function makeInPool<Client>(make: () => Client): Client {
  isMaking = true
  try {
    return make()
  } finally {
    isMaking = false
  }
}

/** Asked once, by the constructor. */
export function isMadeByPool(): boolean {
  const isPools = isMaking
  isMaking = false
  return isPools
}
