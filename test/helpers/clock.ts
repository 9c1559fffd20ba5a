/** The environment that lets all processes of a server take a moment for now, and go on from there. */
export function clockAt(ms: number): Readonly<Record<string, string>> {
  const shift = `const now = Date.now; Date.now = () => now() + ${ms - Date.now()}`
  return { NODE_OPTIONS: `--import data:text/javascript,${encodeURIComponent(shift)}` }
}
