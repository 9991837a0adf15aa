/** A program of ES modules that is traced. Arguments: the package of the Pool, its configuration, is it to be hurt? */

import { drive } from './drive.cjs'

const [, , name] = process.argv
// As a program's own `import` of that name: the same loader, the same hooks.
const { Pool, Query } = await import(name)
await drive(name, Pool, Query)
