import { randomBytes } from 'node:crypto'
import { open, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Account } from './account.ts'
import type { PostgresBinaries } from './postgres-binaries.ts'
import { testCertificate, testCertificateKey } from './test-certificate.ts'
import { spawnTethered, type Tethered } from './tether.ts'
import { within } from './within.ts'

// Takes about 600 ms.
const INITDB_LIMIT_MILLIS = 60_000
const LOG_TAIL_CHARS = 3_000

/** The files of one server: data, log, password. */
export interface DataDirectory {
  readonly folder: string
  readonly data: string
  readonly password: string
  readonly account: Account
  readonly binaries: PostgresBinaries
}

/** What is fixed when the files are created. As the options of `startPostgres`. */
export interface DirectoryOptions {
  readonly tls?: boolean
  readonly authentication?: 'scram-sha-256' | 'password' | 'trust'
}

/** Runs initdb in `folder`, and puts the certificate in place when asked to. Throws with the end of the log when initdb fails. */
export async function initDataDirectory(
  folder: string,
  account: Account,
  binaries: PostgresBinaries,
  { tls = false, authentication = 'scram-sha-256' }: DirectoryOptions,
): Promise<DataDirectory> {
  const directory = { folder, data: join(folder, 'data'), password: randomBytes(12).toString('hex'), account, binaries }
  const passwordFile = await writeOwned(account, join(folder, 'password'), directory.password)
  const { exited } = await run(directory, [
    binaries.initdb,
    ...['-D', directory.data, '-U', 'postgres', `--auth=${authentication}`, `--pwfile=${passwordFile}`],
    ...['--locale=C', '-E', 'UTF8', '--no-sync'],
  ])
  const end = await within(exited, INITDB_LIMIT_MILLIS)
  if (!end) throw await startFailure(directory, `initdb was not done within ${INITDB_LIMIT_MILLIS} ms`)
  if (end.code !== 0) throw await startFailure(directory, `initdb ended with ${end.error?.message ?? `code ${end.code}`}`)
  if (tls) {
    await writeOwned(account, join(directory.data, 'server.crt'), testCertificate)
    await writeOwned(account, join(directory.data, 'server.key'), testCertificateKey)
  }
  return directory
}

/** Runs a program of PostgreSQL that ends when we do, in the folder and with the log of `directory`. */
export async function run(directory: DataDirectory, command: readonly string[]): Promise<Tethered> {
  const log = await open(join(directory.folder, 'log'), 'a', 0o600)
  try {
    return spawnTethered(directory.account, directory.folder, log.fd, command)
  } finally {
    await log.close()
  }
}

/** An error that ends with what the server said last. */
export async function startFailure(directory: DataDirectory, what: string): Promise<Error> {
  const log = await readFile(join(directory.folder, 'log'), 'utf8').catch(() => '(the log cannot be read)')
  return new Error(`PostgreSQL could not be started: ${what}. Its log ends with:\n${log.slice(-LOG_TAIL_CHARS)}`)
}

// PostgreSQL refuses a key that others may read or that belongs to another user.
async function writeOwned(account: Account, path: string, text: string): Promise<string> {
  await writeFile(path, text, { mode: 0o600 })
  await account.own(path)
  return path
}
