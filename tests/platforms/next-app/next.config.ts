import type { NextConfig } from 'next'

// Nothing for Thaw: that is what these tests show. The types are checked with those of all tests, and no copy is built twice.
const config: NextConfig = {
  typescript: { ignoreBuildErrors: true },
  experimental: { turbopackFileSystemCacheForBuild: false, turbopackFileSystemCacheForDev: false },
}
export default config
