import { type Ambush, createAmbushes, type LoseAnswerOptions, type LoseRequestOptions } from './ambush.ts'
import type { CutKind } from './fault-kinds.ts'
import type { Flow, FlowCutOptions } from './flow.ts'
import { findFreePort } from './free-port.ts'
import type { FlowSetting } from './live-flow.ts'
import { createReception } from './reception.ts'
import { reroute } from './reroute.ts'
import { createCounters, type FaultCounters } from './traffic.ts'

/** How to start a proxy. */
export interface FaultProxyOptions {
  /** The port to listen on. Default: a free one below the range that outgoing connections use. */
  readonly port?: number
  /** Keeps every chunk of every flow in {@link Flow.chunks}. Default: false, since it holds all traffic in memory. */
  readonly record?: boolean
}

/** How to cut many flows at once. */
export interface CutOptions extends FlowCutOptions {
  /** Which flows to cut. Default: all. */
  readonly flows?: Iterable<Flow>
}

/** How long each chunk is held back, one way. */
export interface Delay {
  /** Default: 0. */
  readonly toServerMillis?: number
  /** Default: 0. */
  readonly toClientMillis?: number
}

/** A TCP proxy in this process, whose connections can be broken in the ways in which real ones break. */
export interface FaultProxy extends AsyncDisposable {
  readonly host: string
  readonly port: number
  /** The same URL, through the proxy. Throws if it is no URL. */
  urlFor(url: string): string

  /**
   * Cuts the flows that are open now, and returns how many it struck. New connections are not affected. A flow that was silenced can still
   * be cut with `fin` or `rst`; one whose client has disconnected is not counted.
   *
   * The kernel answers TCP keepalive probes even for a dropped flow, so they do not reveal it here as they would behind a NAT.
   */
  cut(kind: CutKind, options?: CutOptions): number

  /** Refuses new connections from now on (ECONNREFUSED). Open flows continue. The port stays ours. */
  refuse(): void
  /**
   * Accepts new connections, and relays them: undoes {@link refuse}, {@link deafen} and {@link away}. Throws if another process took the
   * port meanwhile, or after {@link close}.
   */
  accept(): Promise<void>
  /** Accepts new connections, and never answers them. Open flows continue. Those that were accepted deaf stay deaf. */
  deafen(): Promise<void>
  /** The server is gone: refuses new connections and closes all flows with a FIN. Returns how many it closed. {@link accept} brings it back. */
  away(): number

  /** Relays new connections to another server from now on, like a host name whose address was moved in a failover. Open flows continue. */
  moveTo(target: { readonly host: string; readonly port: number }): void

  /** Delays each chunk by this long, in order. Applies to all flows, until the next call. `setDelay({})` ends it. */
  setDelay(delay: Delay): void

  /**
   * Loses the next request of any flow: it is not passed on, the server never sees it, and the flow is cut. One read of
   * the socket counts as a request, so `containing` may miss text that lies across two reads (64 KiB apart).
   */
  loseNextRequest(options?: LoseRequestOptions): Ambush
  /** Loses the answer to the next request of any flow: the server sees and executes the request; when it answers, the flow is cut instead. */
  loseNextAnswer(options?: LoseAnswerOptions): Ambush

  /** Counts of all flows since the start or the last `counters.reset()`. A live view. */
  readonly counters: FaultCounters
  /** All flows, in the order of arrival; closed ones too, until `counters.reset()`. */
  readonly flows: readonly Flow[]
  /** Calls `listener` with each new flow, before its first byte. Returns a function that ends it. */
  onFlow(listener: (flow: Flow) => void): () => void
  /** Ends the proxy and all of its flows, and resolves when both sides of each have ended. Safe to call twice. */
  close(): Promise<void>
}

/**
 * Starts a TCP proxy on 127.0.0.1 in front of `target`, such as a {@link PostgresServer}.
 *
 * It understands TCP, not PostgreSQL, so TLS passes through it. It connects to the target once for each client. A
 * target that cannot be reached shows as RST. Throws if the port is taken.
 */
export async function startFaultProxy(
  target: { readonly host: string; readonly port: number },
  options: FaultProxyOptions = {},
): Promise<FaultProxy> {
  const counters = createCounters(() => reception.forgetClosed())
  const setting: FlowSetting = {
    target: { host: target.host, port: target.port },
    isRecorded: options.record === true,
    total: counters,
    ambushes: createAmbushes(),
    delay: { toServerMillis: 0, toClientMillis: 0 },
  }
  const reception = createReception(setting)
  const port = options.port ?? (await findFreePort())
  await reception.open(port)
  const cut = (kind: CutKind, { flows = reception.flows, ...rest }: CutOptions = {}): number =>
    [...flows].filter((flow) => flow.cut(kind, rest)).length
  const welcome = async (isDeaf: boolean): Promise<void> => {
    reception.isDeaf = isDeaf
    await reception.open(port)
  }
  return {
    host: '127.0.0.1',
    port,
    urlFor: (url) => reroute(url, '127.0.0.1', port),
    cut,
    refuse: () => reception.shut(),
    accept: () => welcome(false),
    deafen: () => welcome(true),
    away() {
      reception.shut()
      return cut('fin')
    },
    moveTo({ host, port }) {
      setting.target = { host, port }
    },
    setDelay: ({ toServerMillis = 0, toClientMillis = 0 }) => void Object.assign(setting.delay, { toServerMillis, toClientMillis }),
    loseNextRequest: (wanted = {}) => setting.ambushes.lay('request', wanted),
    loseNextAnswer: (wanted = {}) => setting.ambushes.lay('answer', wanted),
    counters,
    get flows() {
      return reception.flows
    },
    onFlow: reception.onFlow,
    close: reception.close,
    [Symbol.asyncDispose]: reception.close,
  }
}
