/** The documentation as a site, made of the Markdown that GitHub shows. `pnpm run docs` serves it on this machine (`pnpm docs` is a command of pnpm), `pnpm docs:build` writes static files. */

import { globSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { DefaultTheme, UserConfig } from 'vitepress'
import { pageOf, REWRITES, siteLinkOf, slugOf } from './links.ts'
import { titleOf, writePlainPages } from './plain-pages.ts'
import { withoutBlankHeaders } from './tables.ts'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const house = JSON.parse(readFileSync(`${ROOT}package.json`, 'utf8'))
const repository: string = house.repository.url.replace(/^git\+|\.git$/g, '')

const SECTIONS: readonly { readonly text: string; readonly files: readonly string[] }[] = [
  { text: 'Thaw', files: ['README.md', 'docs/README.md'] },
  {
    text: 'Start',
    files: [
      ...['node', 'bun-deno', 'vercel', 'next', 'lambda', 'cloudflare', 'platforms'],
      ...['sveltekit', 'react-router', 'astro', 'hono', 'nitro'],
      ...['neon', 'moving', 'testing', 'observe'],
    ].map((name) => `docs/start/${name}.md`),
  },
  { text: 'Concepts', files: pagesIn('docs/concepts/*.md') },
  { text: 'Reference', files: pagesIn('docs/reference/*.md') },
  { text: 'API', files: pagesIn('docs/api/*.md') },
  { text: 'Packages', files: pagesIn('packages/*/README.md') },
  { text: 'Apps', files: pagesIn('apps/*/README.md') },
  { text: 'Project', files: ['ARCHITECTURE.md', 'CONTRIBUTING.md', 'RELEASING.md', 'SECURITY.md', 'CHANGELOG.md'] },
  { text: 'Decisions', files: ['docs/decisions/README.md'] },
]
/** Its list links to each of them. */
const files = [...SECTIONS.flatMap((section) => section.files), ...pagesIn('docs/decisions/0*.md')]
/** A drop. */
const ICON =
  "data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'><path fill='%233b82c4' d='M8 1c3 4 5 6 5 9a5 5 0 0 1-10 0c0-3 2-5 5-9z'/></svg>"

const config: UserConfig<DefaultTheme.Config> = {
  title: 'Thaw',
  description: house.description,
  lang: 'en',
  srcDir: '..',
  srcExclude: [...globSync('**/*.md', { cwd: ROOT, exclude: ['**/node_modules', '**/dist', '**/.*'] })].filter(
    (file) => !files.includes(file),
  ),
  rewrites: { ...REWRITES },
  cleanUrls: true,
  head: [['link', { rel: 'icon', href: ICON }]],
  vite: { server: { host: '127.0.0.1' } },
  markdown: {
    anchor: { slugify: slugOf },
    // The default themes are below the contrast that WCAG AA asks for.
    theme: { light: 'github-light-high-contrast', dark: 'github-dark-high-contrast' },
    config(md) {
      md.core.ruler.push('tables-without-blank-headers', (state) => {
        state.tokens = withoutBlankHeaders(state.tokens)
      })
      md.core.ruler.push('links-of-the-repository', ({ tokens, env }) => {
        const file = (env.realPath ?? env.path).slice(ROOT.length)
        for (const token of tokens.flatMap((token) => token.children ?? [])) {
          const target = token.type === 'link_open' ? token.attrGet('href') : null
          if (target) token.attrSet('href', siteLinkOf(target, file, repository))
        }
      })
    },
  },
  themeConfig: {
    search: { provider: 'local' },
    outline: [2, 3],
    nav: [
      { text: 'Start', link: '/start/node' },
      { text: 'Concepts', link: '/concepts/health-checks' },
      { text: 'Reference', link: '/reference/options' },
      { text: 'Changelog', link: '/changelog' },
    ],
    sidebar: SECTIONS.map(({ text, files }) => ({ text, items: files.map(itemOf) })),
    socialLinks: [{ icon: 'github', link: repository }],
  },
  buildEnd: ({ outDir }) => writePlainPages(files, { root: ROOT, outDir, repository, description: house.description }),
}
export default config

function pagesIn(pattern: string): string[] {
  return globSync(pattern, { cwd: ROOT }).sort()
}

function itemOf(file: string): DefaultTheme.SidebarItem {
  const title = titleOf(readFileSync(ROOT + file, 'utf8'), file)
  return {
    text: file === 'README.md' ? 'What it is' : title.replace(/^Start: /, ''),
    link: `/${pageOf(file)?.replace(/(index)?\.md$/, '')}`,
  }
}
