/** The word that somebody probably meant, if one is near enough to say so. */
export function nearest(word: string, known: readonly string[]): string | undefined {
  const near = known
    .map(candidate => ({ candidate, edits: editsBetween(word, candidate) }))
    .filter(({ candidate, edits }) => edits <= Math.max(1, Math.floor(candidate.length / 3)))
  return near.toSorted((a, b) => a.edits - b.edits)[0]?.candidate
}

/** How many characters to insert, remove or replace (Levenshtein), one row of the table at a time. */
function editsBetween(from: string, to: string): number {
  const first = Array.from({ length: to.length + 1 }, (_, column) => column)
  const last = [...from.slice(0, 100)].reduce((above, letter, row) => {
    let left = row + 1
    let diagonal = row
    const rest = [...to].map((other, column) => {
      const over = above[column + 1] ?? 0
      left = Math.min(over + 1, left + 1, diagonal + (letter === other ? 0 : 1))
      diagonal = over
      return left
    })
    return [row + 1, ...rest]
  }, first)
  return last.at(-1) ?? 0
}
