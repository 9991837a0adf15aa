/** What a pool with a host plan has learned on the way: which step a client was made for, whether poolers are there, which of their servers is gone. */

import { type HostPlan, type HostStep, optionsAt } from '../options/hosts.ts'
import { saysServerIsGone } from './pooler-refusals.ts'

/** Poolers make up a process ID of 32 random bits. Linux, whose limit is the highest, has none above this: PID_MAX_LIMIT. */
const HIGHEST_PID = 4_194_304

interface Facts {
  isPooled: boolean | undefined
  /** A host was not what its login had reported. */
  isDoubted: boolean
  /** Its pooler answers, and has no server. */
  gone: HostStep | undefined
}

const facts = new WeakMap<HostPlan, Facts>()
const origins = new WeakMap<object, { readonly step: HostStep; readonly plan: HostPlan }>()

function factsOf(plan: HostPlan): Facts {
  const known = facts.get(plan) ?? { isPooled: undefined, isDoubted: false, gone: undefined }
  facts.set(plan, known)
  return known
}

/** To be called when a client has been made for one of the hosts. */
export function noteStep(client: object, step: HostStep, plan: HostPlan): void {
  origins.set(client, { step, plan })
}

/** The options of a client like this one: those of the pool, for the host that it was made for. */
export function optionsLike(client: object, options: object): object {
  const origin = origins.get(client)
  return origin ? optionsAt(options, origin.step) : options
}

/** Does the pool that made the client want sessions that can write, and have several hosts to find one? Then a server that is set to be read-only is as wrong as a standby. */
export function hasOtherWriters(client: object): boolean {
  const origin = origins.get(client)
  return origin !== undefined && origin.step.wants === 'read-write' && origin.plan.steps.length > 1
}

/** Is a pooler there? It may report at login what its server was when it first saw it. The hosts of a plan are of one kind. */
export function mayBePooled(plan: HostPlan, processID: number | null | undefined): boolean {
  const { isPooled } = factsOf(plan)
  return isPooled ?? !(processID && processID > 0 && processID <= HIGHEST_PID)
}

/** What the server says of its own process ID. */
export function notePid(plan: HostPlan, told: number | null | undefined, real: unknown): void {
  factsOf(plan).isPooled = String(told) !== String(real)
}

/** Only where nothing is known of a pooler. */
export function isDoubted(plan: HostPlan): boolean {
  const { isPooled, isDoubted } = factsOf(plan)
  return isPooled === undefined && isDoubted
}

/** PostgreSQL itself was asked before: what it reports is true. */
export function isDirect(plan: HostPlan): boolean {
  return factsOf(plan).isPooled === false
}

/** Has one of the poolers of this plan said that its server is gone? Then a login alone proves nothing. */
export function isPooled(plan: HostPlan): boolean {
  return factsOf(plan).isPooled === true
}

/** The client's server is of the wrong kind now. If a pooler was there unnoticed, its next report may be an old one. */
export function doubtReports(client: object): void {
  const origin = origins.get(client)
  if (origin) factsOf(origin.plan).isDoubted = true
}

/** A connection ended with this error. Did a pooler say that it has no server? With several hosts the next connection begins with another. */
export function noteGone(client: object, error: Error): boolean {
  const origin = origins.get(client)
  if (!origin || origin.plan.steps.length < 2 || !saysServerIsGone(error)) return false
  Object.assign(factsOf(origin.plan), { isPooled: true, gone: origin.step })
  return true
}

/** Once. */
export function takeGone(plan: HostPlan): HostStep | undefined {
  const known = facts.get(plan)
  const gone = known?.gone
  if (known) known.gone = undefined
  return gone
}
