import type { NextConfig } from 'next'

// As in the other app, but with Cache Components: reading the time while a page is prerendered stops the build.
const config: NextConfig = {
  cacheComponents: true,
  typescript: { ignoreBuildErrors: true },
  experimental: { turbopackFileSystemCacheForBuild: false, turbopackFileSystemCacheForDev: false },
}
export default config
