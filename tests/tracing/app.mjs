/** A program of ES modules that is traced. Arguments: the package of the Pool, its configuration, is it to be hurt? */

import { drive } from './drive.cjs'

const [, , name] = process.argv
// As a program's own `import` of that name: the same loader, the same hooks.
await drive(name, await import(name))
