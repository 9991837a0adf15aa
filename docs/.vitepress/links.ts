/** Which page of the site a file of the repository is, and where its links lead there. The same files are read on GitHub, so their links are theirs. */

import { dirname, join } from 'node:path/posix'

/** From a file of the repository to the file of the site, in VitePress' words. The first that fits counts. */
export const REWRITES: Readonly<Record<string, string>> = {
  'README.md': 'index.md',
  'ARCHITECTURE.md': 'architecture.md',
  'CHANGELOG.md': 'changelog.md',
  'CONTRIBUTING.md': 'contributing.md',
  'RELEASING.md': 'releasing.md',
  'SECURITY.md': 'security.md',
  'docs/README.md': 'documentation.md',
  'docs/decisions/README.md': 'decisions/index.md',
  'docs/api/:page.md': 'api/:page.md',
  'docs/:section/:page.md': ':section/:page.md',
  'packages/:name/README.md': 'packages/:name.md',
  'apps/:name/README.md': 'apps/:name.md',
}

/** The page of the site that a file of the repository is: `start/node.md`. Undefined for what is no page. */
export function pageOf(file: string): string | undefined {
  for (const [from, to] of Object.entries(REWRITES)) {
    const values = new RegExp(`^${from.replace(/[.]/g, '\\.').replace(/:(\w+)/g, '(?<$1>[\\w-]+)')}$`).exec(file)
    if (values) return to.replace(/:(\w+)/g, (_, name: string) => values.groups?.[name] ?? '')
  }
  return undefined
}

/**
 * Where a link leads on the site: to a page, by its path from the site's root; or, for a file that is no page, to the repository.
 *
 * @param file the file that has the link, by its path in the repository.
 */
export function siteLinkOf(target: string, file: string, repository: string): string {
  if (/^[a-z]+:|^#/.test(target)) return target
  const [path = '', anchor] = target.split('#')
  const wanted = join(dirname(file), path).replace(/\/$/, '')
  const page = pageOf(wanted)
  const hash = anchor === undefined ? '' : `#${anchor}`
  return page === undefined ? `${repository}/blob/main/${wanted}${hash}` : `/${page}${hash}`
}

/** The name of a heading, as GitHub makes it: a link has to lead to the same place in both. */
export function slugOf(heading: string): string {
  return heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, '')
    .trim()
    .replace(/\s/g, '-')
}
