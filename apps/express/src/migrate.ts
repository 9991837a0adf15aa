/** Makes the tables that are not there yet. */

import { readFile } from 'node:fs/promises'
import { pool } from './database.ts'

await pool.query({ text: await readFile(new URL('../schema.sql', import.meta.url), 'utf8'), idempotent: true })
console.log('The tables are there.')
await pool.end()
