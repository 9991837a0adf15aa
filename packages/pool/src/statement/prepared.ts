/**
 * Statements that are prepared by themselves (`prepare: 5`): a text with values that `pool.query()` has sent that often goes out under a
 * name from then on, so that each connection parses it once. pg does the rest: it remembers what each connection has parsed.
 */

import type { Clock } from '@thaw/core'
import type { Memory } from '../connection/pool-context.ts'
import type { SharedConnection } from '../connection/shared-connection.ts'
import { closeNames, mayBeTheName, UnboundErrors } from '../connection/statement-names.ts'
import { isSubmittable, type PeerClient } from '../driver/peer.ts'
import { formOf, nameOf } from '../driver/query-form.ts'
import type { Settings } from '../options/options.ts'
import { asFirstSent, rememberSent } from './as-first-sent.ts'
import type { Call } from './call.ts'

/** So many texts have a name. The one that was not used for longest loses it. */
const MOST_NAMES = 100
/** So many texts are counted that have none yet. */
const MOST_COUNTED = 500
/** A transaction pooler loses statements that it does not know. After so many losses, the pool gives up, unless PostgreSQL itself is at the other end. */
const MOST_MISSING = 10

export class PreparedStatements {
  readonly #uses: number
  readonly #clock: Clock
  readonly #memory: Memory
  /** By text, the one used last at the end. */
  readonly #counts = new Map<string, number>()
  readonly #names = new Map<string, string>()
  readonly #live = new Set<string>()
  /** How many names were taken away, and how many were when a connection last closed its own. */
  #evicted = 0
  readonly #tidied = new WeakMap<object, number>()
  readonly #unbound = new UnboundErrors()
  #prefix = ''
  #next = 0
  #missing = 0
  #wasOn: boolean

  constructor({ prepareAfter, clock }: Settings, memory: Memory) {
    this.#uses = prepareAfter
    this.#clock = clock
    this.#memory = memory
    this.#wasOn = memory.isDirect !== false
  }

  /** The call, under a name if its text has one by now. */
  prepare(call: Call): Call {
    if (!this.#isOn()) return call
    try {
      return this.#prepare(call)
    } catch {
      // A getter of the caller's, or a Proxy: the driver reads it when its turn has come, and tells this caller alone.
      return call
    }
  }

  #prepare(call: Call): Call {
    const form = formOf(call.text, call.values)
    if (!form || typeof form.text !== 'string' || !Array.isArray(form.values) || form.values.length === 0) return call
    // `types` as a list are those of the parameters, which are fixed when the statement is parsed.
    if (form.name || form.rows || form.portal || isSubmittable(call.text) || Array.isArray((form as { types?: unknown }).types)) return call
    const name = this.#nameOf(form.text)
    return name === undefined ? call : { ...call, text: { ...form, name }, values: undefined, plain: rememberSent(call.text, call.values) }
  }

  #isOn(): boolean {
    const { isDirect, events } = this.#memory
    const isOn = isDirect ?? this.#missing < MOST_MISSING
    if (this.#wasOn && !isOn) events.emit({ type: 'prepareStopped', reason: isDirect === false ? 'pooler' : 'names-lost' })
    this.#wasOn = isOn
    return isOn
  }

  #nameOf(text: string): string | undefined {
    const known = this.#names.get(text)
    if (known !== undefined) {
      this.#names.delete(text)
      this.#names.set(text, known)
      return known
    }
    const count = (this.#counts.get(text) ?? 0) + 1
    this.#counts.delete(text)
    if (count <= this.#uses) {
      this.#counts.set(text, count)
      if (this.#counts.size > MOST_COUNTED) this.#counts.delete(this.#counts.keys().next().value as string)
      return undefined
    }
    if (this.#names.size >= MOST_NAMES) this.#forget(this.#names.keys().next().value as string)
    // Behind a pooler, another process may have had the same session: one name must not mean two texts. Not before it is needed: Workers
    // have no randomness outside of requests.
    this.#prefix ||= `thaw_${chance(this.#clock)}${chance(this.#clock)}_`
    const name = `${this.#prefix}${++this.#next}`
    this.#names.set(text, name)
    this.#live.add(name)
    return name
  }

  #forget(text: string): void {
    this.#live.delete(this.#names.get(text) as string)
    this.#names.delete(text)
    this.#evicted++
  }

  /** Its text has lost its name while it waited. */
  isStale({ plain, text }: Call): boolean {
    return plain !== undefined && !this.#live.has((text as { readonly name: string }).name)
  }

  /** Closes what has lost its name. The connection has nothing else on its way; the server answers with the next statement. */
  tidy({ connection }: PeerClient): void {
    if (!connection) return
    this.#unbound.watch(connection)
    if ((this.#tidied.get(connection) ?? 0) === this.#evicted) return
    this.#tidied.set(connection, this.#evicted)
    closeNames(connection, (name) => this.#isOurs(name) && !this.#live.has(name))
  }

  #isOurs(name: string): boolean {
    return this.#prefix !== '' && name.startsWith(this.#prefix)
  }

  /**
   * Was it refused, perhaps, only because of its name? And certainly not executed: the server refuses such a statement when it is parsed or bound. The
   * names are forgotten where they may have become wrong, and the call can be sent without one.
   */
  heal({ plain, text }: Call, { connection }: PeerClient, error: Error): boolean {
    if (!plain) return false
    const { code, routine, where } = error as { readonly code?: unknown; readonly routine?: unknown; readonly where?: unknown }
    const { name } = text as { readonly name: string }
    // Says pg, before it sends anything: a Client class has changed the text.
    if (code === undefined && error.message.startsWith(`Prepared statements must be unique - '${name}'`)) return true
    // Inside a function it is the function's own statement, and something has been executed. But the place of a parameter is told, too.
    const isUnbound = this.#unbound.has(error)
    if (where !== undefined && !isUnbound) return false
    if (code === '26000' || code === '42P05') {
      // DEALLOCATE ALL, DISCARD ALL, or another session: if one is gone, all are.
      closeNames(connection, (other) => this.#isOurs(other))
      this.#missing++
      return true
    }
    if (isUnbound ? mayBeTheName(error) === 'no' : code !== '0A000' || routine !== 'RevalidateCachedQuery') return false
    closeNames(connection, (other) => other === name)
    return true
  }
}

/** Ten hexadecimal digits. */
function chance(clock: Clock): string {
  return Math.floor(clock.random() * 16 ** 10)
    .toString(16)
    .padStart(10, '0')
}

/**
 * A name of the user's is told, once, as by pg-pool, which closes the connection. This one stays: the next statement of that name is parsed again, and those that
 * were sent under it are sent again.
 */
export function parseAgain({ plain, text }: Call, ledger: SharedConnection, error: Error): void {
  const name = plain ? undefined : nameOf(text)
  if (name === undefined || mayBeTheName(error) === 'no') return
  closeNames(ledger.client.connection, (other) => other === name)
  ledger.nameClosed(name)
}

/** A connection that nothing obliges to stay is closed, as pg-pool does it. */
export function hasWrongName({ text }: Call, error: Error): boolean {
  return nameOf(text) !== undefined && mayBeTheName(error) === 'likely'
}

/** As its caller gave it. */
export function unprepared(call: Call): Call {
  const { plain } = call
  return { ...call, ...asFirstSent(plain), sent: plain, plain: undefined, shareable: undefined, ledger: undefined }
}
