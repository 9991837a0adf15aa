declare module 'express-session' {
  import type { EventEmitter } from 'node:events'

  export class Store extends EventEmitter {}
  export class Cookie {
    constructor(options: { maxAge: number })
  }
  const session: { Store: typeof Store; Cookie: typeof Cookie }
  export default session
}

declare module 'connect-pg-simple' {
  import type { Pool } from 'pg'

  class PgStore {
    constructor(options: { pool: Pool; createTableIfMissing: boolean; pruneSessionInterval: number | false })
    set(id: string, data: object, done: (error?: Error) => void): void
    get(id: string, done: (error?: Error) => void): void
    close(): void
  }
  function connect(session: typeof import('express-session').default): typeof PgStore
  export default connect
}

declare module '@prisma/client/runtime/query_compiler_fast_bg.postgresql.mjs' {
  export const QueryCompiler: never
  export const __wbg_set_wasm: never
}

declare module '@prisma/client/runtime/query_compiler_fast_bg.postgresql.wasm-base64.mjs' {
  export const wasm: string
}
