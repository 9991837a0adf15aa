import { type ChildProcess, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { capture, describeEnd, type ProcessEnd, quote, watchEnd } from './child-life.ts'
import { freezePid, thawPid } from './freezer.ts'
import { LambdaError, parseError, readAnswer } from './lambda-answer.ts'
import { type LambdaApi, type LambdaWork, serveLambdaApi } from './lambda-api.ts'
import { within } from './within.ts'

/** A deployed function. */
export interface Deployment {
  readonly functionName: string
  readonly handler: string
  readonly command: readonly string[]
  readonly env: Readonly<Record<string, string>>
  readonly timeoutMillis: number
  /** How long it has from SIGTERM to SIGKILL, if it has registered an extension. */
  readonly shutdownMillis: number
  /** How many invocations the process may have at once. More than one: managed instances, which are never frozen. */
  readonly maxConcurrency: number
  /** How many loops ask for work. */
  readonly threads: number
}

/** One request for the function. */
export interface Job {
  readonly event: string
  readonly onChunk: (chunk: string) => void
  readonly beforeThaw: () => void
  readonly resolve: (payload: unknown) => void
  readonly reject: (error: Error) => void
}

/** How a process was shut down. */
export interface LambdaShutdown {
  /** What it was sent: `SIGTERM` only if it had registered an extension, and `SIGKILL` if it did not end in time. */
  readonly signals: readonly NodeJS.Signals[]
  readonly end: ProcessEnd
}

interface InFlight extends Job {
  readonly timer: NodeJS.Timeout
}

interface Extension {
  readonly events: readonly string[]
  give: ((work: LambdaWork) => void) | undefined
}

/** One execution environment: a process that asks for work, and is frozen while there is none. */
export class LambdaEnvironment {
  readonly #deployment: Deployment
  readonly #queue: Job[] = []
  readonly #inFlight = new Map<string, InFlight>()
  readonly #runtimes: ((work: LambdaWork) => void)[] = []
  readonly #extensions = new Map<string, Extension>()
  readonly #settled = new Set<() => void>()
  #child: ChildProcess | undefined
  #api: LambdaApi | undefined
  #isInitialized = false
  #isSwitching = false
  #hasEnded = false
  #isDoomed = false
  #failure: Error | undefined
  isFrozen = false
  exited: Promise<ProcessEnd> = Promise.resolve({ code: null, signal: null })
  stdout: () => string = () => ''
  stderr: () => string = () => ''

  constructor(deployment: Deployment) {
    this.#deployment = deployment
  }

  get pid(): number {
    return this.#child?.pid ?? 0
  }

  async start(): Promise<void> {
    this.#api = await serveLambdaApi({
      functionName: this.#deployment.functionName,
      handler: this.#deployment.handler,
      next: (give) => {
        this.#runtimes.push(give)
        this.#isInitialized ||= this.#runtimes.length === this.#deployment.threads
        this.#turn()
      },
      answer: (requestId, answer) => this.#answer(requestId, answer),
      failed: (requestId, report) => this.#finish(requestId)?.reject(parseError(report)),
      initFailed: (report) => {
        this.#failure = parseError(report)
      },
      register: (id, events) => this.#register(id, events),
      nextEvent: (id, give) => this.#nextEvent(id, give),
    })
    const [command = '', ...args] = this.#deployment.command
    const env = { ...process.env, ...this.#deployment.env, AWS_LAMBDA_RUNTIME_API: this.#api.address }
    const child = spawn(command, args, { env, stdio: ['ignore', 'pipe', 'pipe'] })
    this.#child = child
    this.stdout = capture(child.stdout)
    this.stderr = capture(child.stderr)
    this.exited = watchEnd(child)
    void this.exited.then((end) => this.#ended(end))
  }

  invoke(job: Job): void {
    this.#queue.push(job)
    this.#turn()
  }

  /** It takes no more work. */
  get isOver(): boolean {
    return this.#hasEnded || this.#isDoomed
  }

  /** Resolves when the process is frozen; with managed instances, when it has nothing to do. */
  settled(): Promise<void> {
    return new Promise((resolve) => {
      this.#settled.add(resolve)
      this.#turn()
    })
  }

  async shutdown(): Promise<LambdaShutdown> {
    const signals: NodeJS.Signals[] = []
    const send = (signal: NodeJS.Signals) => {
      signals.push(signal)
      this.#child?.kill(signal)
    }
    if (this.#extensions.size > 0) {
      // In this order: a stopped process takes the signal when it runs again.
      send('SIGTERM')
      this.#child?.kill('SIGCONT')
      await within(this.exited, this.#deployment.shutdownMillis)
    }
    if (this.#child?.exitCode === null && this.#child.signalCode === null) send('SIGKILL')
    const end = await this.exited
    await this.#api?.close()
    return { signals, end }
  }

  /** Ends it at once. */
  async kill(): Promise<void> {
    this.#child?.kill('SIGKILL')
    await this.exited
    await this.#api?.close()
  }

  /** Does what may be done now: called whenever something has changed. */
  #turn(): void {
    if (this.#hasEnded) return this.#fail()
    if (this.#isSwitching || !this.#isInitialized) return
    while (this.#queue.length > 0 && this.#runtimes.length > 0 && this.#mayBegin()) this.#begin()
    if (this.#queue.length > 0 || this.#inFlight.size > 0 || !this.#isWaiting()) return
    if (this.isFrozen || this.#deployment.maxConcurrency > 1) this.#tellSettled()
    else this.#switch(true)
  }

  #mayBegin(): boolean {
    return this.#inFlight.size === 0 ? this.#isWaiting() : this.#inFlight.size < this.#deployment.maxConcurrency
  }

  /** The runtime and every extension have asked for their next event. */
  #isWaiting(): boolean {
    return this.#runtimes.length > 0 && [...this.#extensions.values()].every(({ give }) => give)
  }

  #begin(): void {
    const job = this.#queue.shift()
    const give = this.#runtimes.shift()
    if (!job || !give) return
    const { timeoutMillis } = this.#deployment
    const work: LambdaWork = { requestId: randomUUID(), deadlineAt: Date.now() + timeoutMillis, body: job.event }
    this.#inFlight.set(work.requestId, { ...job, timer: setTimeout(() => this.#timedOut(work.requestId), timeoutMillis) })
    for (const extension of this.#extensions.values()) {
      if (!extension.events.includes('INVOKE')) continue
      extension.give?.(work)
      extension.give = undefined
    }
    // The request is in the kernel when the process wakes up, with whatever happened to its other sockets meanwhile.
    give(work)
    if (!this.isFrozen) return
    job.beforeThaw()
    this.#switch(false)
  }

  #switch(freeze: boolean): void {
    this.#isSwitching = true
    this.isFrozen = freeze
    // A process that has ended can be neither; whatever waits is told of its end.
    const done = () => {
      this.#isSwitching = false
      this.#turn()
    }
    void (freeze ? freezePid(this.pid) : thawPid(this.pid)).then(done, done)
  }

  async #answer(requestId: string, answer: IncomingMessage): Promise<void> {
    const job = this.#inFlight.get(requestId)
    try {
      const payload = await readAnswer(answer, job?.onChunk)
      this.#finish(requestId)?.resolve(payload)
    } catch (error) {
      this.#finish(requestId)?.reject(error as Error)
    }
  }

  #finish(requestId: string): Job | undefined {
    const job = this.#inFlight.get(requestId)
    clearTimeout(job?.timer)
    this.#inFlight.delete(requestId)
    return job
  }

  /** Managed instances let an invocation run on, as AWS documents; elsewhere the environment ends with it. */
  #timedOut(requestId: string): void {
    if (this.#deployment.maxConcurrency > 1) return
    const seconds = (this.#deployment.timeoutMillis / 1000).toFixed(2)
    this.#finish(requestId)?.reject(new LambdaError('Sandbox.Timedout', `Task timed out after ${seconds} seconds`))
    this.#isDoomed = true
    this.#child?.kill('SIGKILL')
  }

  #register(id: string, events: readonly string[]): string | undefined {
    if (this.#isInitialized) return 'Extension.RegistrationClosed'
    if (events.includes('SHUTDOWN')) return 'Extension.ShutdownEventNotSupportedForInternalExtension'
    this.#extensions.set(id, { events, give: undefined })
    return undefined
  }

  #nextEvent(id: string, give: (work: LambdaWork) => void): boolean {
    const extension = this.#extensions.get(id)
    if (!extension) return false
    extension.give = give
    this.#turn()
    return true
  }

  #ended(end: ProcessEnd): void {
    this.#hasEnded = true
    this.isFrozen = false
    this.#failure ??= new LambdaError('Runtime.ExitError', `The function's process ended (${describeEnd(end)}).${quote(this.stderr())}`)
    this.#fail()
  }

  /** Requests still pending will not be answered. */
  #fail(): void {
    const error = this.#failure as Error
    for (const requestId of [...this.#inFlight.keys()]) this.#finish(requestId)?.reject(error)
    for (const job of this.#queue.splice(0)) job.reject(error)
    this.#tellSettled()
  }

  #tellSettled(): void {
    for (const resolve of this.#settled) resolve()
    this.#settled.clear()
  }
}
