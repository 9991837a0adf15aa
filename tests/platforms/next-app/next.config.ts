import type { NextConfig } from 'next'

// Nothing for Thaw: that is what these tests show. The types are checked with those of all tests.
const config: NextConfig = { typescript: { ignoreBuildErrors: true }, experimental: { turbopackFileSystemCacheForBuild: false } }
export default config
