import type { NextConfig } from 'next'

// Nothing for Thaw, and nothing for OpenNext. The types are checked with those of all tests, and no copy is built twice.
const config: NextConfig = {
  typescript: { ignoreBuildErrors: true },
  experimental: { turbopackFileSystemCacheForBuild: false },
}
export default config
