/**
 * What `@thaw/pg` is on the Edge runtime, which has no TCP: an error that says so. Chosen by the condition `edge-light` of package.json; the names are
 * those of `index.ts`, so that a bundler does not stop at a missing one before anybody reads the message.
 */

import { OptionError } from '@thaw/core'

export * from '@thaw/pool/names'

function refuse(): never {
  throw new OptionError({
    option: 'runtime',
    allowed: 'Node.js',
    message:
      '@thaw/pg needs TCP, which the Edge runtime has not. Use the Pool of "@thaw/neon" there, or run this function on Node.js: remove `runtime: "edge"`.',
  })
}

export const Client: never = refuse()
export const Connection: never = refuse()
export const DatabaseError: never = refuse()
export const defaults: never = refuse()
export const escapeIdentifier: never = refuse()
export const escapeLiteral: never = refuse()
export const native: never = refuse()
export const Pool: never = refuse()
export const Query: never = refuse()
export const Result: never = refuse()
export const TypeOverrides: never = refuse()
export const types: never = refuse()
const thawPg: never = refuse()
export default thawPg
