import { defineCloudflareConfig, type OpenNextConfig } from '@opennextjs/cloudflare'

// It would call the package manager: a copy of this app has none.
const config: OpenNextConfig = { ...defineCloudflareConfig(), buildCommand: process.env.BUILD_COMMAND ?? 'next build' }
export default config
