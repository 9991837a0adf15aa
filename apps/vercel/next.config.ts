import type { NextConfig } from 'next'

// Thaw needs nothing here: with Turbopack and with webpack.
const config: NextConfig = { poweredByHeader: false }
export default config
