/** The requests that the handler gets. The seed decides, so both drivers get the same ones in the same order. */

import { createSeededRandom } from '@thaw/testkit'
import type { OrderEvent } from './handler.ts'

/** A source of requests for one fault. */
export interface Requests {
  read(): OrderEvent
  place(): OrderEvent & { readonly action: 'place' }
  placeAll(): OrderEvent
  /** Five reads and five writes, three of them single statements and two transactions, shuffled. */
  burst(): readonly OrderEvent[]
  /** A read and a write, in either order. */
  pair(): readonly OrderEvent[]
}

const ITEMS = ['tea', 'rice', 'bread', 'salt', 'soap', 'honey', 'plums', 'candles']

/** Makes the source. `name` goes into the tokens of the orders, and keeps them apart from those of other faults. */
export function createRequests(seed: number, name: string): Requests {
  const random = createSeededRandom([...name].reduce((hash, letter) => Math.imul(hash, 31) + letter.charCodeAt(0), seed))
  let placed = 0
  const id = (): string => `${name}/${++placed}`
  const pick = (): string => ITEMS[Math.floor(random() * ITEMS.length)] ?? 'tea'
  const times = <T>(count: number, make: () => T): T[] => Array.from({ length: count }, make)
  const requests: Requests = {
    read: () => ({ action: 'read' }),
    place: () => ({ action: 'place', id: id(), item: pick() }),
    placeAll: () => ({ action: 'place-all', id: id(), items: [pick(), pick()] }),
    burst: () => shuffle([...times(5, requests.read), ...times(3, requests.place), ...times(2, requests.placeAll)], random),
    pair: () => shuffle([requests.read(), requests.place()], random),
  }
  return requests
}

function shuffle<T>(list: readonly T[], random: () => number): T[] {
  return list
    .map((value) => ({ value, rank: random() }))
    .sort((one, other) => one.rank - other.rank)
    .map(({ value }) => value)
}
