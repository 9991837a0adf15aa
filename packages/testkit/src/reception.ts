import { createServer, type Server } from 'node:net'
import type { Flow } from './flow.ts'
import { type FlowSetting, LiveFlow } from './live-flow.ts'

/** Where new connections arrive, and the register of those that did. */
export interface Reception {
  /** Whether new connections are met with silence. */
  isDeaf: boolean
  readonly flows: readonly LiveFlow[]
  /** Drops the flows that are over from the register. */
  forgetClosed(): void
  /** Listens, unless it does already. Rejects if the port is taken. */
  open(port: number): Promise<void>
  /** Stops listening at once. Flows go on. */
  shut(): void
  onFlow(listener: (flow: Flow) => void): () => void
}

/** Makes a reception that does not listen yet. */
export function createReception(setting: FlowSetting): Reception {
  const listeners = new Set<(flow: Flow) => void>()
  let flows: LiveFlow[] = []
  let server: Server | undefined
  let lastId = 0
  const reception: Reception = {
    isDeaf: false,
    get flows() {
      return flows
    },
    forgetClosed() {
      flows = flows.filter((flow) => !flow.isOver)
    },
    async open(port) {
      if (server) return
      const opening = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
        const flow = new LiveFlow(++lastId, client, setting, reception.isDeaf)
        flows.push(flow)
        setting.total.flowsOpened++
        client.once('close', () => setting.total.flowsClosed++)
        for (const listener of listeners) listener(flow)
      })
      server = opening
      await listen(opening, port).catch((error: unknown) => {
        server = undefined
        throw error
      })
    },
    shut() {
      server?.close()
      server = undefined
    },
    onFlow(listener) {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
  }
  return reception
}

function listen(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', () => {
      server.off('error', reject)
      // A failed accept (no file descriptors left) is the client's problem, not a reason to end the process.
      server.on('error', () => {})
      resolve()
    })
  })
}
