/** VitePress' own theme, with the contrast that WCAG AA asks for. */

import DefaultTheme from 'vitepress/theme'
import './contrast.css'

export default DefaultTheme
