// Core is compiled without Node's types, so that nothing of Node slips in. These few are for the tests that look at core from outside.

declare module 'node:fs' {
  import type { URL } from 'node:url'
  export function readdirSync(path: URL): string[]
  export function readFileSync(path: URL, encoding: 'utf8'): string
}

declare module 'node:module' {
  export function createRequire(from: string): (path: string) => unknown
}

declare module 'node:url' {
  export class URL {
    constructor(path: string, base?: string)
    readonly pathname: string
  }
}

declare module 'node:vm' {
  export function runInNewContext(code: string, globals: object): unknown
}

interface ImportMeta {
  readonly url: string
}
