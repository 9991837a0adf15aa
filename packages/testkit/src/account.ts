import { execFile } from 'node:child_process'
import { chown } from 'node:fs/promises'
import { promisify } from 'node:util'

/** The account that runs the server: PostgreSQL refuses to run as root. */
export interface Account {
  /** Command that changes the user, put in front of the real one. */
  readonly prefix: readonly string[]
  /** What `spawn` changes by itself. */
  readonly ids: { readonly uid?: number; readonly gid?: number }
  /** Gives a file or folder to the account. */
  own(path: string): Promise<void>
}

// `nobody` on every Linux, so nothing has to be added to the machine.
export const NOBODY = 65534

const ourselves: Account = { prefix: [], ids: {}, own: async () => {} }
const nobody: Account = { prefix: [], ids: { uid: NOBODY, gid: NOBODY }, own: (path) => chown(path, NOBODY, NOBODY) }
// Runs as `nobody` and can still enter root's own folders: for a checkout below a folder that is closed to others.
const masked: Account = { ...ourselves, prefix: ['unshare', '--user', `--map-user=${NOBODY}`, `--map-group=${NOBODY}`] }

/** Finds an account that can both run `binary` and work in `folder`, and gives it the folder. */
export async function chooseAccount(binary: string, folder: string): Promise<Account> {
  if (process.getuid?.() !== 0) return ourselves
  await nobody.own(folder)
  if (await canRun(nobody, binary, folder)) return nobody
  await chown(folder, 0, 0)
  if (await canRun(masked, binary, folder)) return masked
  throw new Error(
    `PostgreSQL refuses to run as root, the user "nobody" cannot reach ${binary} and ${folder}, and \`unshare --user\` is not allowed here. ` +
      'Run the tests as an ordinary user, or let others pass through the folders on that path (chmod o+x).',
  )
}

async function canRun(account: Account, binary: string, folder: string): Promise<boolean> {
  const [file = 'sh', ...args] = [...account.prefix, 'sh', '-c', 'cd "$0" && "$1" -V', folder, binary]
  return promisify(execFile)(file, args, account.ids).then(
    () => true,
    () => false,
  )
}
