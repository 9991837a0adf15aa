import { appendFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { chooseAccount } from './account.ts'
import { type DataDirectory, run, startFailure } from './data-directory.ts'
import { createDataFolder } from './data-folder.ts'

/** Where the primary is, and who may read everything there. */
export interface PrimaryLogin {
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: string
  readonly database: string
}

/**
 * Copies the data of a running server, as `pg_basebackup` would, into a folder of its own: started from there, it follows the primary.
 * https://www.postgresql.org/docs/current/continuous-archiving.html#BACKUP-LOWLEVEL-BASE-BACKUP
 */
export async function copyForStandby(primary: DataDirectory, login: PrimaryLogin): Promise<DataDirectory> {
  const folder = await createDataFolder()
  const account = await chooseAccount(primary.binaries.postgres, folder)
  const directory: DataDirectory = { ...primary, folder, account, data: join(folder, 'data') }
  const { default: pg } = await import('pg')
  const client = new pg.Client({ ...login, application_name: 'thaw-testkit' })
  await client.connect()
  try {
    await client.query(`SELECT pg_backup_start('standby', true)`)
    const { exited } = await run(directory, ['cp', '-R', primary.data, directory.data])
    const { code } = await exited
    if (code !== 0) throw await startFailure(directory, `the data of the primary could not be copied (cp ended with ${code})`)
    const { rows } = await client.query<{ labelfile: string }>('SELECT labelfile FROM pg_backup_stop(false)')
    await finish(directory, rows[0]?.labelfile ?? '', login)
  } finally {
    await client.end()
  }
  return directory
}

async function finish({ data, account }: DataDirectory, label: string, { host, port, user, password }: PrimaryLogin): Promise<void> {
  for (const [name, text] of [
    ['backup_label', label],
    ['standby.signal', ''],
  ] as const) {
    await writeFile(join(data, name), text, { mode: 0o600 })
    await account.own(join(data, name))
  }
  // The primary's own.
  await rm(join(data, 'postmaster.pid'))
  await appendFile(
    join(data, 'postgresql.auto.conf'),
    `primary_conninfo = 'host=${host} port=${port} user=${user} password=${password} application_name=thaw-testkit'\n`,
  )
}
